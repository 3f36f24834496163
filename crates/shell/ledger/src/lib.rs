//! Keeps usage: the journal of decisions and the ledger of postings.
