//! Request to endpoint, with the reason; the life of a request.
