//! Connections of the simulated network as the gateway holds them: when its process is killed they say nothing more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::http::uri::Authority;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::TcpStream;

use super::run::{self, Life};
use super::scene::UPSTREAMS;
use crate::simulation::scene;

/// A connection that ends with its process.
pub(crate) struct Wire {
    stream: TcpStream,
    life: Arc<Life>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, life: Arc<Life>) -> Self {
        Self { stream, life }
    }
}

/// Connects to the simulated host that an upstream's address stands for; `None` where nothing is simulated.
pub(crate) async fn connect(authority: &Authority) -> Option<io::Result<TokioIo<Wire>>> {
    let run = run::current()?;
    let host = usize::from(authority.port_u16().unwrap_or(0)).checked_sub(1).and_then(|index| UPSTREAMS.get(index));
    let Some(host) = host else { return Some(Err(io::ErrorKind::AddrNotAvailable.into())) };
    let connecting = TcpStream::connect((*host, 80));
    Some(match tokio::time::timeout(scene::limits().connect_timeout, connecting).await {
        Ok(stream) => stream.map(|stream| TokioIo::new(Wire::new(stream, run.life()))),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    })
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.life.is_over() { Poll::Pending } else { Pin::new(&mut self.stream).poll_read(cx, buf) }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.life.is_over() { Poll::Pending } else { Pin::new(&mut self.stream).poll_write(cx, bytes) }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.life.is_over() { Poll::Pending } else { Pin::new(&mut self.stream).poll_flush(cx) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.life.is_over() { Poll::Pending } else { Pin::new(&mut self.stream).poll_shutdown(cx) }
    }
}
