//! Histories of messages, gaps and restarts against the simulated daemon's own lists.
