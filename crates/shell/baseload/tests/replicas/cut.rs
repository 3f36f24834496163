//! A wire between a replica and PostgreSQL that can be cut: what is said on it then is swallowed, and nothing is heard.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The wire. An odd number of changes is a cut.
pub struct Wire {
    at: SocketAddr,
    changes: Arc<AtomicU32>,
}

impl Wire {
    pub fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (at, changes) = (listener.local_addr().expect("it is bound"), Arc::new(AtomicU32::new(0)));
        let seen = Arc::clone(&changes);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                let socket = socket.clone();
                std::thread::spawn(move || connect(near, &socket, &seen));
            }
        });
        Self { at, changes }
    }

    pub fn address(&self) -> SocketAddr {
        self.at
    }

    pub fn cut(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// What was said while it was cut stays lost, and so do the connections that it was said on.
    pub fn heal(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

fn connect(near: TcpStream, socket: &Path, changes: &Arc<AtomicU32>) {
    let began = changes.load(Ordering::SeqCst);
    let Ok(far) = UnixStream::connect(socket) else { return };
    let (Ok(near_too), Ok(far_too), also) = (near.try_clone(), far.try_clone(), Arc::clone(changes)) else { return };
    std::thread::spawn(move || carry(far_too, near_too, began, &also));
    carry(near, far, began, changes);
}

/// Carries what is said one way, as long as the wire is as it was when the connection was made.
fn carry(mut from: impl Read, mut to: impl Write, began: u32, changes: &AtomicU32) {
    let mut piece = [0; 4_096];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        let whole = began.is_multiple_of(2) && changes.load(Ordering::SeqCst) == began;
        if whole && to.write_all(&piece[..length]).is_err() {
            return;
        }
    }
}
