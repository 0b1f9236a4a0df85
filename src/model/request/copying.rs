//! Requests of the words that copy databases: dump, scratch, restore, artefacts.
