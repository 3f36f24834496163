//! The library of the solver, by system.

use std::env::consts::{ARCH, OS};

use anyhow::{Result, bail};

use crate::wheel::Member;

/// A system for which the package has the library.
struct System {
    os: &'static str,
    arch: &'static str,
    library: Member,
}

const fn system(os: &'static str, arch: &'static str, file: &'static str, bytes: u64, sha256: &'static str) -> System {
    System { os, arch, library: Member { file, bytes, sha256, package: "highsbox==1.15.1", licence: "MIT" } }
}

const SYSTEMS: [System; 4] = [
    system("linux", "x86_64", "libhighs.so", 6_092_544, "b358c169566b648d2b264d4414618cbac2bd402dfdafd1bc9ad0234684341c07"),
    system("linux", "aarch64", "libhighs.so", 5_458_544, "09ca7c2d241e9c29909213d31dc5c0227937cdafdd85a64fa730dd9cace5f6c5"),
    system("macos", "aarch64", "libhighs.dylib", 4_678_768, "df3df043ac7e33bf4d83082486c2e05416cda1fff8cc0cd63b1bfbffdd91d573"),
    system("macos", "x86_64", "libhighs.dylib", 5_717_704, "9c1cd5e2bd9924cfb864d3568fb9e822d9ea471ff49561fe89567a8d51d1b360"),
];

/// The library for the system that this program is built for. A program that is linked to musl can't load one that is linked to glibc.
pub fn here() -> Result<Member> {
    of(OS, if cfg!(target_env = "musl") { "musl" } else { ARCH })
}

fn of(os: &str, arch: &str) -> Result<Member> {
    if let Some(system) = SYSTEMS.iter().find(|system| system.os == os && system.arch == arch) {
        return Ok(system.library);
    }
    let known: Vec<String> = SYSTEMS.iter().map(|system| format!("{} {}", system.os, system.arch)).collect();
    bail!(
        "find a solver for {os} {arch}: one is known for {}. Elsewhere BASELOAD_SOLVER may name the shared library of HiGHS {}",
        known.join(", "),
        highs::VERSION
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_the_version_that_is_loaded() {
        for System { os, library, .. } in SYSTEMS {
            assert_eq!(library.package, format!("highsbox=={}", highs::VERSION));
            assert!(os != OS || library.file == highs::FILE, "{} is not {}", library.file, highs::FILE);
            assert!(library.sha256.len() == 64 && library.sha256.chars().all(|digit| digit.is_ascii_hexdigit()));
        }
    }

    #[test]
    fn a_system_without_one_is_told_what_it_can_do() {
        let failure = of("plan9", "x86_64").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(failure.contains("linux x86_64, linux aarch64") && failure.contains("BASELOAD_SOLVER"), "{failure}");
        assert_eq!(of("linux", "aarch64").ok().map(|library| library.bytes), Some(5_458_544));
    }
}
