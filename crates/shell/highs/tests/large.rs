//! A problem as large as a plan of ten years, in a process of its own so that its memory can be read.

mod solver;

use lp::{Change, ColumnId, Effort, Kept, Problem, Solver as _, Verdict};

use crate::solver::{FREE, agree, highs};

const MONTHS: u32 = 120;
const CONTRACTS: u32 = 40;
const WORKLOADS: u32 = 12;
const SITES: u32 = 12;
/// What the whole program may take while it plans, in KiB.
const MEMORY_MAX: u64 = 80_000_000 / 1024;

/// Numbers in 0..1 that look random.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 40).expect("24 bits")) / f64::from(1_u32 << 24)
    }
}

/// What a contract and a workload are throughout.
struct Terms {
    capacity: Vec<f64>,
    price: Vec<f64>,
    speed: Vec<f64>,
    demand: Vec<f64>,
    worth: Vec<f64>,
}

/// Columns of a month.
struct Month {
    placed: Vec<ColumnId>,
    used: Vec<ColumnId>,
    served: Vec<ColumnId>,
    missed: Vec<ColumnId>,
    cash: ColumnId,
    debt: ColumnId,
    gap: ColumnId,
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("a small number")
}

fn terms() -> Terms {
    let mut draws = Draws(1);
    let mut many = |count: u32, low: f64, high: f64| (0..count).map(|_| low + (high - low) * draws.next()).collect::<Vec<f64>>();
    Terms {
        capacity: many(CONTRACTS, 20.0, 90.0),
        price: many(CONTRACTS, 1.0, 3.5),
        speed: many(CONTRACTS * WORKLOADS, 0.4, 1.6),
        demand: many(WORKLOADS * 3, 20.0, 70.0),
        worth: many(WORKLOADS * 3, 1.0, 5.0),
    }
}

fn columns(problem: &mut Problem, terms: &Terms, month: u32) -> Month {
    let growth = 1.01_f64.powi(i32::try_from(month).expect("a small number"));
    let placed = (0..CONTRACTS * WORKLOADS).map(|_| problem.column(0.0, 0.0, FREE)).collect();
    let used = (0..CONTRACTS).map(|contract| problem.column(0.0, 0.0, terms.capacity[index(contract)])).collect();
    let served = (0..WORKLOADS * 3).map(|tranche| problem.column(0.0, 0.0, growth * terms.demand[index(tranche)])).collect();
    let missed = (0..WORKLOADS).map(|_| problem.column(-50.0, 0.0, FREE)).collect();
    let last = f64::from(u8::from(month + 1 == MONTHS));
    let (cash, debt) = (problem.column(last, 5.0, FREE), problem.column(-last, 0.0, 2000.0));
    Month { placed, used, served, missed, cash, debt, gap: problem.column(-10.0, 0.0, FREE) }
}

fn rows(problem: &mut Problem, terms: &Terms, month: &Month, before: Option<&Month>) {
    for contract in 0..CONTRACTS {
        (0..WORKLOADS).for_each(|workload| problem.entry(month.placed[index(contract * WORKLOADS + workload)], 1.0));
        problem.entry(month.used[index(contract)], -1.0);
        problem.row(0.0, 0.0);
    }
    for site in 0..SITES {
        let here = (0..CONTRACTS).filter(|contract| contract % SITES == site);
        here.for_each(|contract| problem.entry(month.used[index(contract)], 0.7 + 0.05 * f64::from(contract % 6)));
        problem.row(-FREE, 110.0);
    }
    for workload in 0..WORKLOADS {
        let tranches = index(workload) * 3..index(workload) * 3 + 3;
        for contract in 0..CONTRACTS {
            let cell = index(contract * WORKLOADS + workload);
            problem.entry(month.placed[cell], terms.speed[cell]);
        }
        tranches.clone().for_each(|tranche| problem.entry(month.served[tranche], -1.0));
        problem.row(0.0, 0.0);
        tranches.clone().for_each(|tranche| problem.entry(month.served[tranche], 1.0));
        problem.entry(month.missed[index(workload)], 1.0);
        problem.row(0.3 * terms.demand[tranches].iter().sum::<f64>(), FREE);
    }
    [(month.cash, 1.0), (month.debt, -1.0), (month.gap, -1.0)].into_iter().for_each(|(column, factor)| problem.entry(column, factor));
    month.used.iter().zip(&terms.price).for_each(|(&used, &price)| problem.entry(used, price));
    month.served.iter().zip(&terms.worth).for_each(|(&served, &worth)| problem.entry(served, -worth));
    if let Some(before) = before {
        [(before.cash, -1.003), (before.debt, 1.007)].into_iter().for_each(|(column, factor)| problem.entry(column, factor));
    }
    problem.row(-2600.0, -2600.0);
}

/// Each year's use of a contract has a floor, whose shortfall is paid at the end of the year.
fn floors(problem: &mut Problem, terms: &Terms, months: &[Month]) {
    for (year, months) in months.chunks(12).enumerate() {
        for contract in 0..index(CONTRACTS) {
            let shortfall =
                problem.column(-terms.price[contract] * (1.0 - 0.02 * f64::from(u8::try_from(year).expect("a small number"))), 0.0, FREE);
            months.iter().for_each(|month| problem.entry(month.used[contract], 1.0));
            problem.entry(shortfall, 1.0);
            problem.row(0.7 * 12.0 * terms.capacity[contract], FREE);
        }
    }
}

fn plan() -> (Problem, Vec<Month>) {
    let terms = terms();
    let mut problem = Problem::with_room(70_000, 10_000, 170_000);
    let mut months: Vec<Month> = Vec::new();
    for number in 0..MONTHS {
        let month = columns(&mut problem, &terms, number);
        rows(&mut problem, &terms, &month, months.last());
        months.push(month);
    }
    floors(&mut problem, &terms, &months);
    (problem, months)
}

/// The most memory this process has had, in KiB; none where the system doesn't tell.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[test]
fn ten_years_are_solved_within_memory_and_again_from_the_basis_or_not() {
    let (problem, months) = plan();
    assert!(problem.column_count() > 68_000 && problem.columns.len() > 130_000, "{} columns", problem.column_count());
    let mut highs = highs();
    highs.load(problem.clone()).expect("a problem");
    let base = highs.solve(Effort::default(), Kept::Nothing).expect("it is solved");
    assert_eq!(base.verdict, Verdict::Optimal);
    assert!(base.residual < 1e-6 && base.gap < 1e-9, "{} and {}", base.residual, base.gap);

    let more: Vec<Change> =
        months[60..66].iter().map(|month| Change::Column(month.used[3], 0.0, 1.1 * problem.high[month.used[3].0 as usize])).collect();
    highs.change(&more).expect("bounds");
    let warm = highs.solve(Effort::default(), Kept::Basis).expect("it is solved");
    let cold = highs.solve(Effort::default(), Kept::Nothing).expect("it is solved");
    assert!(agree(warm.objective, cold.objective), "{} and {}", warm.objective, cold.objective);
    assert_eq!((warm.from, cold.from), (Kept::Basis, Kept::Nothing));
    assert!(warm.objective > base.objective && warm.iterations < base.iterations / 10, "{} of {}", warm.iterations, base.iterations);

    // Half of every contract, and twice every demand: the basis leads nowhere within its patience.
    let halved = months.iter().flat_map(|month| &month.used).map(|&used| Change::Column(used, 0.0, 0.5 * problem.high[used.0 as usize]));
    let doubled =
        months.iter().flat_map(|month| &month.served).map(|&served| Change::Column(served, 0.0, 2.0 * problem.high[served.0 as usize]));
    let all: Vec<Change> = halved.chain(doubled).collect();
    highs.solve(Effort::default(), Kept::Basis).expect("it is solved");
    highs.change(&all).expect("bounds");
    let fallen_back = highs.solve(Effort::default(), Kept::Basis).expect("it is solved");
    let cold = highs.solve(Effort::default(), Kept::Nothing).expect("it is solved");
    assert_eq!((fallen_back.from, fallen_back.verdict), (Kept::Nothing, Verdict::Optimal));
    assert_eq!(fallen_back, cold, "to the last bit what the beginning leads to");
    assert!(memory().is_none_or(|most| most < MEMORY_MAX), "{:?} KiB", memory());
}
