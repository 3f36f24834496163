//! The C interface of HiGHS 1.15, as far as it is used, behind functions that can't be called wrongly. Names, arguments and
//! widths are those of its header `highs_c_api.h`; `HighsInt` is a C `int` there, which loading checks.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

use libloading::Library;
use lp::{Failure, Problem};

const MAXIMISE: c_int = -1;
const ROW_WISE: c_int = 2;
const CONTINUOUS: c_int = 0;
const INTEGER: c_int = 1;
const FAILED: c_int = -1;

macro_rules! functions {
    ($($name:ident = $symbol:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of a library that stays loaded until the process ends.
        pub struct Functions { $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)* }

        impl Functions {
            fn of(library: &'static Library) -> Result<Self, libloading::Error> {
                $(
                    // SAFETY: the type is that of the header; whether the library has the header's version is checked before any other call.
                    let $name = unsafe { *library.get(concat!($symbol, "\0").as_bytes())? };
                )*
                Ok(Self { $($name),* })
            }
        }
    };
}

functions! {
    create = "Highs_create": fn() -> *mut c_void;
    destroy = "Highs_destroy": fn(*mut c_void);
    version = "Highs_version": fn() -> *const c_char;
    int_size = "Highs_getSizeofHighsInt": fn(*const c_void) -> c_int;
    set_bool = "Highs_setBoolOptionValue": fn(*mut c_void, *const c_char, c_int) -> c_int;
    set_int = "Highs_setIntOptionValue": fn(*mut c_void, *const c_char, c_int) -> c_int;
    set_double = "Highs_setDoubleOptionValue": fn(*mut c_void, *const c_char, f64) -> c_int;
    set_string = "Highs_setStringOptionValue": fn(*mut c_void, *const c_char, *const c_char) -> c_int;
    pass = "Highs_passLp": fn(
        *mut c_void, c_int, c_int, c_int, c_int, c_int, f64, *const f64, *const f64, *const f64, *const f64, *const f64,
        *const c_int, *const c_int, *const f64
    ) -> c_int;
    integrality = "Highs_changeColsIntegralityBySet": fn(*mut c_void, c_int, *const c_int, *const c_int) -> c_int;
    column_bounds = "Highs_changeColsBoundsBySet": fn(*mut c_void, c_int, *const c_int, *const f64, *const f64) -> c_int;
    row_bounds = "Highs_changeRowsBoundsBySet": fn(*mut c_void, c_int, *const c_int, *const f64, *const f64) -> c_int;
    costs = "Highs_changeColsCostBySet": fn(*mut c_void, c_int, *const c_int, *const f64) -> c_int;
    factor = "Highs_changeCoeff": fn(*mut c_void, c_int, c_int, f64) -> c_int;
    clear = "Highs_clearSolver": fn(*mut c_void) -> c_int;
    basis = "Highs_getBasis": fn(*const c_void, *mut c_int, *mut c_int) -> c_int;
    set_basis = "Highs_setBasis": fn(*mut c_void, *const c_int, *const c_int) -> c_int;
    run = "Highs_run": fn(*mut c_void) -> c_int;
    status = "Highs_getModelStatus": fn(*const c_void) -> c_int;
    columns = "Highs_getNumCol": fn(*const c_void) -> c_int;
    rows = "Highs_getNumRow": fn(*const c_void) -> c_int;
    solution = "Highs_getSolution": fn(*const c_void, *mut f64, *mut f64, *mut f64, *mut f64) -> c_int;
    int_of = "Highs_getIntInfoValue": fn(*const c_void, *const c_char, *mut c_int) -> c_int;
    long_of = "Highs_getInt64InfoValue": fn(*const c_void, *const c_char, *mut i64) -> c_int;
    double_of = "Highs_getDoubleInfoValue": fn(*const c_void, *const c_char, *mut f64) -> c_int;
}

impl Functions {
    /// Loads a library. It is never unloaded: HiGHS has thread-locals, whose destructors run when their thread ends.
    pub fn load(path: &Path) -> Result<&'static Self, libloading::Error> {
        // SAFETY: what runs on loading are the library's own initialisers; that the file is a HiGHS library is the word of whoever put it there.
        let library = Box::leak(Box::new(unsafe { Library::new(path)? }));
        Ok(Box::leak(Box::new(Self::of(library)?)))
    }

    /// The version as the library tells it, such as `1.15.1`.
    pub fn version(&self) -> String {
        // SAFETY: every version has this function; it takes nothing and returns a string that is never freed.
        let version = unsafe { CStr::from_ptr((self.version)()) };
        version.to_string_lossy().into_owned()
    }
}

/// A basis: how each column and each row stands in it.
pub struct Basis {
    columns: Vec<c_int>,
    rows: Vec<c_int>,
}

/// The value of an option.
#[derive(Clone, Copy)]
pub enum Setting {
    Flag(bool),
    Count(u32),
    Number(f64),
    Word(&'static CStr),
}

/// What the solver tells of each column and row.
#[derive(Default)]
pub struct Told {
    pub columns: Vec<f64>,
    pub reduced: Vec<f64>,
    pub rows: Vec<f64>,
    pub duals: Vec<f64>,
}

/// One HiGHS with its problem.
pub struct Instance {
    functions: &'static Functions,
    highs: *mut c_void,
}

// SAFETY: an instance is used by one thread at a time (every function takes it by reference, those that change it exclusively), and HiGHS keeps
// nothing of an instance in the thread that made it: its thread-local scheduler, which one thread never gives work, is made anew in each.
unsafe impl Send for Instance {}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: `highs` came from `create` and is destroyed once, here.
        unsafe { (self.functions.destroy)(self.highs) }
    }
}

impl Instance {
    /// A HiGHS without a problem; `None` when the library's integers aren't C's `int`, or there is no memory.
    pub fn new(functions: &'static Functions) -> Option<Self> {
        // SAFETY: it takes nothing.
        let highs = unsafe { (functions.create)() };
        if highs.is_null() {
            return None;
        }
        let instance = Self { functions, highs };
        // SAFETY: `highs` came from `create`.
        let size = unsafe { (functions.int_size)(instance.highs) };
        (usize::try_from(size) == Ok(size_of::<c_int>())).then_some(instance)
    }

    /// The library that this is an instance of.
    pub fn functions(&self) -> &'static Functions {
        self.functions
    }

    /// Sets an option.
    pub fn set(&mut self, option: &'static CStr, setting: Setting) -> Result<(), Failure> {
        let (f, highs, name) = (self.functions, self.highs, option.as_ptr());
        // SAFETY: `highs` is alive, both strings end with a zero; HiGHS checks the name and the type of the option.
        let status = unsafe {
            match setting {
                Setting::Flag(on) => (f.set_bool)(highs, name, c_int::from(on)),
                Setting::Count(count) => (f.set_int)(highs, name, c_int::try_from(count).unwrap_or(c_int::MAX)),
                Setting::Number(number) => (f.set_double)(highs, name, number),
                Setting::Word(word) => (f.set_string)(highs, name, word.as_ptr()),
            }
        };
        done(status, || format!("it has no option {} like that", option.to_string_lossy()))
    }

    /// Takes a problem in, without which columns are whole.
    pub fn pass(&mut self, problem: &Problem) -> Result<(), Failure> {
        problem.check().map_err(Failure::Broke)?;
        let (columns, rows) = (int(problem.column_count())?, int(problem.row_count())?);
        let entries = int(problem.columns.len())?;
        let starts = ints(problem.starts.iter().copied())?;
        let indices = ints(problem.columns.iter().map(|column| column.0))?;
        // SAFETY: `highs` is alive and copies what it is given. `check` found as many costs and bounds as columns, as many bounds as rows, one
        // start more than rows, and as many factors as entries; indices are below `columns`, and starts rise from zero to `entries`.
        let status = unsafe {
            (self.functions.pass)(
                self.highs,
                columns,
                rows,
                entries,
                ROW_WISE,
                MAXIMISE,
                problem.offset,
                problem.cost.as_ptr(),
                problem.low.as_ptr(),
                problem.high.as_ptr(),
                problem.least.as_ptr(),
                problem.most.as_ptr(),
                starts.as_ptr(),
                indices.as_ptr(),
                problem.factors.as_ptr(),
            )
        };
        done(status, || "it refused the problem".to_owned())
    }

    /// Says whether columns are whole; `set` rises.
    pub fn set_whole(&mut self, set: &[u32], whole: bool) -> Result<(), Failure> {
        let (count, set) = (int(set.len())?, ints(set.iter().copied())?);
        let kinds = vec![if whole { INTEGER } else { CONTINUOUS }; set.len()];
        // SAFETY: `highs` is alive, both lists have `count` entries, and HiGHS refuses columns that there aren't.
        let status = unsafe { (self.functions.integrality)(self.highs, count, set.as_ptr(), kinds.as_ptr()) };
        done(status, || "it refused whole columns".to_owned())
    }

    /// Sets columns' bounds; `set` rises.
    pub fn set_columns(&mut self, set: &[u32], low: &[f64], high: &[f64]) -> Result<(), Failure> {
        assert!(set.len() == low.len() && set.len() == high.len(), "each column has two bounds");
        let (count, set) = (int(set.len())?, ints(set.iter().copied())?);
        // SAFETY: `highs` is alive, the lists have `count` entries, and HiGHS refuses columns that there aren't.
        let status = unsafe { (self.functions.column_bounds)(self.highs, count, set.as_ptr(), low.as_ptr(), high.as_ptr()) };
        done(status, || "it refused bounds of columns".to_owned())
    }

    /// Sets rows' bounds; `set` rises.
    pub fn set_rows(&mut self, set: &[u32], least: &[f64], most: &[f64]) -> Result<(), Failure> {
        assert!(set.len() == least.len() && set.len() == most.len(), "each row has two bounds");
        let (count, set) = (int(set.len())?, ints(set.iter().copied())?);
        // SAFETY: `highs` is alive, the lists have `count` entries, and HiGHS refuses rows that there aren't.
        let status = unsafe { (self.functions.row_bounds)(self.highs, count, set.as_ptr(), least.as_ptr(), most.as_ptr()) };
        done(status, || "it refused bounds of rows".to_owned())
    }

    /// Sets what columns are worth; `set` rises.
    pub fn set_costs(&mut self, set: &[u32], costs: &[f64]) -> Result<(), Failure> {
        assert_eq!(set.len(), costs.len(), "each column has one cost");
        let (count, set) = (int(set.len())?, ints(set.iter().copied())?);
        // SAFETY: `highs` is alive, both lists have `count` entries, and HiGHS refuses columns that there aren't.
        let status = unsafe { (self.functions.costs)(self.highs, count, set.as_ptr(), costs.as_ptr()) };
        done(status, || "it refused costs".to_owned())
    }

    /// Sets a factor; zero takes the entry away.
    pub fn set_factor(&mut self, row: u32, column: u32, factor: f64) -> Result<(), Failure> {
        let (row, column) = (int(row as usize)?, int(column as usize)?);
        // SAFETY: `highs` is alive, and refuses a row or column that there isn't.
        let status = unsafe { (self.functions.factor)(self.highs, row, column, factor) };
        done(status, || "it refused a factor".to_owned())
    }

    /// Forgets the last basis and solution.
    pub fn clear(&mut self) -> Result<(), Failure> {
        // SAFETY: `highs` is alive.
        let status = unsafe { (self.functions.clear)(self.highs) };
        done(status, || "it could not begin anew".to_owned())
    }

    /// The basis that the last run left.
    pub fn basis(&self) -> Result<Basis, Failure> {
        let (columns, rows) = self.size();
        let mut basis = Basis { columns: vec![0; columns], rows: vec![0; rows] };
        // SAFETY: `highs` is alive and fills as many entries as it has columns and rows, which is how long the lists are.
        let status = unsafe { (self.functions.basis)(self.highs, basis.columns.as_mut_ptr(), basis.rows.as_mut_ptr()) };
        done(status, || "it does not tell its basis".to_owned()).map(|()| basis)
    }

    /// Begins from a basis.
    pub fn set_basis(&mut self, basis: &Basis) -> Result<(), Failure> {
        assert_eq!((basis.columns.len(), basis.rows.len()), self.size(), "a basis is of a problem of that size");
        // SAFETY: `highs` is alive and reads as many entries as it has columns and rows, which is how long the lists are.
        let status = unsafe { (self.functions.set_basis)(self.highs, basis.columns.as_ptr(), basis.rows.as_ptr()) };
        done(status, || "it refused a basis".to_owned())
    }

    /// How many columns and rows it has.
    fn size(&self) -> (usize, usize) {
        // SAFETY: `highs` is alive.
        let (columns, rows) = unsafe { ((self.functions.columns)(self.highs), (self.functions.rows)(self.highs)) };
        (usize::try_from(columns).unwrap_or(0), usize::try_from(rows).unwrap_or(0))
    }

    /// Solves, and returns how the problem stands then (`kHighsModelStatus`).
    pub fn run(&mut self) -> Result<c_int, Failure> {
        // SAFETY: `highs` is alive.
        let (ran, status) = unsafe { ((self.functions.run)(self.highs), (self.functions.status)(self.highs)) };
        done(ran, || format!("it could not solve the problem (model status {status})")).map(|()| status)
    }

    /// The solution as it stands.
    pub fn told(&self) -> Result<Told, Failure> {
        let (columns, rows) = self.size();
        let list = |count| vec![0.0; count];
        let mut told = Told { columns: list(columns), reduced: list(columns), rows: list(rows), duals: list(rows) };
        let (values, reduced) = (told.columns.as_mut_ptr(), told.reduced.as_mut_ptr());
        let (sums, duals) = (told.rows.as_mut_ptr(), told.duals.as_mut_ptr());
        // SAFETY: `highs` is alive and fills as many entries as it has columns and rows, which is how long the lists are.
        let status = unsafe { (self.functions.solution)(self.highs, values, reduced, sums, duals) };
        done(status, || "it does not tell its solution".to_owned()).map(|()| told)
    }

    /// A count that the solver tells; zero when it doesn't.
    pub fn count(&self, name: &'static CStr) -> u32 {
        let mut value: c_int = 0;
        // SAFETY: `highs` is alive, the name ends with a zero, and HiGHS checks that it is that of an `int`.
        let status = unsafe { (self.functions.int_of)(self.highs, name.as_ptr(), ptr::from_mut(&mut value)) };
        if status == FAILED { 0 } else { u32::try_from(value).unwrap_or(0) }
    }

    /// A large count that the solver tells; zero when it doesn't.
    pub fn long(&self, name: &'static CStr) -> u32 {
        let mut value: i64 = 0;
        // SAFETY: `highs` is alive, the name ends with a zero, and HiGHS checks that it is that of an `int64_t`.
        let status = unsafe { (self.functions.long_of)(self.highs, name.as_ptr(), ptr::from_mut(&mut value)) };
        if status == FAILED { 0 } else { u32::try_from(value.max(0)).unwrap_or(u32::MAX) }
    }

    /// A number that the solver tells.
    pub fn number(&self, name: &'static CStr) -> Option<f64> {
        let mut value = 0.0;
        // SAFETY: `highs` is alive, the name ends with a zero, and HiGHS checks that it is that of a `double`.
        let status = unsafe { (self.functions.double_of)(self.highs, name.as_ptr(), ptr::from_mut(&mut value)) };
        (status != FAILED).then_some(value)
    }
}

fn done(status: c_int, why: impl FnOnce() -> String) -> Result<(), Failure> {
    if status == FAILED { Err(Failure::Broke(why())) } else { Ok(()) }
}

fn int(count: usize) -> Result<c_int, Failure> {
    c_int::try_from(count).map_err(|_| Failure::Broke("the problem has more than 2^31 columns, rows or entries".to_owned()))
}

fn ints(values: impl Iterator<Item = u32>) -> Result<Vec<c_int>, Failure> {
    values.map(|value| int(value as usize)).collect()
}
