//! Which endpoints may serve a request at all.
