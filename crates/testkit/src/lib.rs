//! Simulated upstreams and one checker per invariant.
