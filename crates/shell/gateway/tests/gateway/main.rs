//! The gateway against scripted upstreams, over real sockets on this machine.

mod answers;
mod batches;
mod bench;
mod books;
mod edges;
mod failover;
mod framing;
mod hedge;
mod keys;
mod limits;
mod messages;
mod meter;
mod openai;
mod picker;
mod prefix;
mod queues;
mod resilience;
mod security;
mod shadow;
mod storm;
mod streams;
