//! The program's commands.

pub mod catalog;
