//! What choosing an endpoint is expected to cost.
