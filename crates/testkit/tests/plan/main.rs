//! What `planner` decides with a real solver: plans solved by hand, prices from both sides, the same answers from a basis.

mod again;
mod audited;
mod by_hand;
mod clauses;
mod fleets;
mod lived;
mod midway;
mod money;
mod policy;
mod prices;
mod promised;
mod scene;
mod solved;
mod twice;
mod ways;
