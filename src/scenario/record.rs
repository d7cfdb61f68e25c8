//! A chat as a scenario.
