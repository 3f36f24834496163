//! What the allocator does with memory that HiGHS frees. Answers don't depend on it, only how much a process takes, and how long.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    /// Free memory at the end of the heap up to this is kept.
    const TRIM: c_int = -1;
    /// Blocks from this size on are mapped singly.
    const MAP: c_int = -3;
    /// Where glibc begins with both.
    const LOW: c_int = 128 * 1024;
    /// Above what a list of the rows of a plan of ten years takes. A list of its columns is still mapped singly: a later solve from the beginning
    /// would fill the holes that they leave, and not give them back.
    const MAP_HIGH: c_int = 384 * 1024;
    /// As far up as it can go.
    const TRIM_HIGH: c_int = 32 * 1024 * 1024;

    unsafe extern "C" {
        fn mallopt(parameter: c_int, value: c_int) -> c_int;
        fn malloc_trim(pad: usize) -> c_int;
    }

    pub fn give_back() {
        // SAFETY: both lock the heap and can be called at any time; a refusal changes nothing.
        unsafe {
            mallopt(MAP, LOW);
            mallopt(TRIM, LOW);
            malloc_trim(0);
        }
    }

    pub fn keep() {
        // SAFETY: it locks the heap and can be called at any time; a refusal changes nothing.
        unsafe {
            mallopt(MAP, MAP_HIGH);
            mallopt(TRIM, TRIM_HIGH);
        }
    }
}

/// From here on what is freed goes back to the system at once: for a solve from the beginning, which takes several times what the problem does,
/// and frees it bit by bit.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::give_back();
}

/// From here on what is freed is kept: for solves from a basis, which take the same blocks again and again and would spend half their time on
/// having them cleared.
pub fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::keep();
}
