//! HTTP in, provider dialects out, metering on the way.
