//! Division as in a schoolbook, digit by digit: no product is formed, so none is too large.

use units::Rate;

/// `amount * over / under`, rounded half to even.
pub fn rounded(amount: i128, over: i128, under: i128) -> i128 {
    let negative = (amount < 0) != (over < 0);
    let (over, under) = (over.unsigned_abs(), under.unsigned_abs());
    let (mut quotient, mut rest) = (0_u128, 0_u128);
    for digit in amount.unsigned_abs().to_string().bytes() {
        let carried = rest * 10 + u128::from(digit - b'0') * over;
        quotient = quotient * 10 + carried / under;
        rest = carried % under;
    }
    let past_half = rest * 2 > under || (rest * 2 == under && quotient % 2 == 1);
    let size = i128::try_from(quotient + u128::from(past_half)).expect("what is generated stays far below 10^38");
    if negative { -size } else { size }
}

/// What `quantity` costs: whole multiples of `per` exactly, the rest rounded once.
pub fn cost(rate: Rate, quantity: i128) -> i128 {
    let (money, per) = (rate.money.nanos(), i128::from(rate.per));
    money * (quantity / per) + rounded(money, quantity % per, per)
}

#[test]
fn division_rounds_once_and_never_overflows() {
    for (amount, over, under, want) in
        [(1, 1, 2, 0), (3, 1, 2, 2), (5, 1, 2, 2), (-3, 1, 2, -2), (7, 2, 3, 5), (7, -2, 3, -5), (0, 5, 7, 0)]
    {
        assert_eq!(rounded(amount, over, under), want, "{amount} * {over} / {under}");
    }
    let (year, watts) = (31_536_000_000_000_i128, 4_500_000_001_i128);
    assert_eq!(rounded(30_000_000_000_000_000_003, year * watts, year * watts * 2), 15_000_000_000_000_000_002);
}
