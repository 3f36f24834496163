//! What the accounts of a request can still pay.

use market::{Payer, TokenPrices, Tokens};
use serde::{Deserialize, Serialize};
use units::Money;

use crate::decide::Question;

/// What the accounts of a request can still pay, and what to reckon with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funds {
    /// The least that is left of the budgets it belongs to.
    pub left: Money,
    /// Output tokens to set money aside for: the most it may take, or as many as its model's answers rarely pass.
    pub output: u32,
}

impl Funds {
    /// What sending the request somewhere sets aside: its tokens at list price, none of them cached.
    #[must_use]
    pub fn cost(self, list: TokenPrices, input: u32) -> Money {
        list.cost(Tokens { input, cached: 0, output: self.output }).at_least_zero()
    }
}

/// By how much the accounts fall short of what `payer` would cost; `None` when they can pay, or have no budget.
pub(crate) fn short(question: &Question, payer: &Payer) -> Option<Money> {
    let funds = question.funds?;
    let cost = funds.cost(payer.list, question.ask.tokens.input);
    (cost > funds.left.at_least_zero()).then(|| cost - funds.left.at_least_zero())
}
