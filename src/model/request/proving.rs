//! Requests of the words that measure databases and compare what was measured.
