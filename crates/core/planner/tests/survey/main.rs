//! What a fleet comes to as numbers, against sums done by hand.

mod contracts;
mod floors;
mod money;
mod offers;
mod statements;
mod view;
mod work;
