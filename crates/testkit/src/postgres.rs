//! A PostgreSQL of a test's own, on a socket in a folder of its own, gone when it is dropped.

use std::fs::{self, Permissions};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A running PostgreSQL.
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    /// Who runs it, where this process is root: the server refuses to be.
    user: Option<u32>,
    port: u16,
}

/// What a program that failed said.
fn said(program: &str, output: &Output) -> io::Error {
    io::Error::other(format!("{program}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

impl Postgres {
    /// Starts one in `folder`, which must be empty, and for nobody else.
    ///
    /// # Errors
    /// When it isn't installed (`tools/setup postgresql`), or doesn't start.
    pub fn start(folder: &Path) -> io::Result<Self> {
        Self::start_at(folder, 5432, "listen_addresses=", |_| Ok(()))
    }

    /// The same with TLS on a free port of this machine too, by a certificate and its key in PEM.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn start_tls(folder: &Path, certificate: &str, key: &str) -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Self::start_at(folder, port, "listen_addresses=127.0.0.1 -c ssl=on", |postgres| {
            for (name, text) in [("server.crt", certificate), ("server.key", key)] {
                let path = Path::new(&postgres.data()).join(name);
                fs::write(&path, text)?;
                fs::set_permissions(&path, Permissions::from_mode(0o600))?;
                chown(&path, postgres.user, None)?;
            }
            Ok(())
        })
    }

    fn start_at(folder: &Path, port: u16, listen: &str, lay: impl FnOnce(&Self) -> io::Result<()>) -> io::Result<Self> {
        let programs = programs().ok_or_else(|| io::Error::other("PostgreSQL is not installed: run tools/setup postgresql"))?;
        let is_root = fs::metadata("/proc/self")?;
        let user = (std::os::unix::fs::MetadataExt::uid(&is_root) == 0).then(|| id("postgres")).transpose()?;
        if user.is_some() {
            chown(folder, user, None)?;
        }
        let postgres = Self { programs, folder: folder.to_owned(), user, port };
        let data = postgres.data();
        postgres.run("initdb", &["-D", &data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-sync"])?;
        lay(&postgres)?;
        let options = format!("-k {} -p {port} -c {listen} -c fsync=off -c shared_buffers=16MB -c max_connections=50", folder.display());
        let log = folder.join("log").display().to_string();
        postgres.run("pg_ctl", &["-D", &data, "-w", "-t", "60", "-l", &log, "-o", &options, "start"])?;
        Ok(postgres)
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    /// The address over its socket.
    #[must_use]
    pub fn address(&self) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/postgres", self.port)
    }

    /// The address over TLS, where it has it, by the name of this machine.
    #[must_use]
    pub fn tls_address(&self) -> String {
        format!("postgres://postgres:s3cret@localhost:{}/postgres?sslmode=require", self.port)
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Runs SQL and gives its rows, columns apart by `|`.
    ///
    /// # Errors
    /// When it refuses.
    pub fn sql(&self, text: &str) -> io::Result<String> {
        let folder = self.folder.display().to_string();
        let port = self.port.to_string();
        let place = ["-h", &folder, "-p", &port, "-d", "postgres", "-U", "postgres"];
        let output = self.run("psql", &[&place[..], &["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text]].concat())?;
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    fn run(&self, program: &str, args: &[&str]) -> io::Result<Output> {
        let path = self.programs.join(program);
        let mut command = match self.user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", &user.to_string(), "--regid", &user.to_string(), "--clear-groups"]).arg(path);
                command
            }
            None => Command::new(path),
        };
        let output = command.args(args).current_dir("/").output()?;
        if output.status.success() { Ok(output) } else { Err(said(program, &output)) }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // What doesn't stop is told by the folder that can't be removed.
        drop(self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]));
    }
}

/// Where the newest version's programs are.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let number = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.path()).filter(|path| number(path).is_some()).max_by_key(number)?;
    Some(newest.join("bin")).filter(|bin| bin.join("initdb").is_file())
}

/// The number of a user of this machine.
fn id(user: &str) -> io::Result<u32> {
    let output = Command::new("id").args(["-u", user]).output()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().map_err(|_| said("id", &output))
}
