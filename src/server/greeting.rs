//! The first bytes of a connection, which tell what is spoken on it.

use std::{
    io::IoSlice,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::timeout,
};

use super::life::Life;

/// What an HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a client may take to say it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How much of what a client sends in vain is read, and for how long.
const UNREAD: u64 = 64 << 10;
const LAST_LOOK: Duration = Duration::from_secs(1);

/// A connection whose first bytes were read, and are read again by whoever serves it.
pub(crate) struct Greeted<S> {
    said: [u8; PREFACE.len()],
    read_again: usize,
    heard: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> Greeted<S> {
    /// Listens until it is clear what the client speaks; nothing comes of one that never says it.
    pub(crate) async fn hear(stream: S, life: &Life) -> Option<Self> {
        let mut greeted = Self {
            said: [0; PREFACE.len()],
            read_again: 0,
            heard: 0,
            stream,
        };
        let heard = tokio::select! {
            heard = timeout(TIMEOUT, greeted.read()) => heard.is_ok_and(|read| read.is_ok()),
            // A client that never says what it wants holds no drain up.
            () = life.closing.cancelled() => false,
        };
        heard.then_some(greeted)
    }

    async fn read(&mut self) -> io::Result<()> {
        while self.heard < PREFACE.len() && PREFACE.starts_with(&self.said[..self.heard]) {
            match self.stream.read(&mut self.said[self.heard..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.heard += read,
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Greeted<S> {
    /// Closes the connection. What the client has sent is read, because a system resets connections
    /// with something unread, and then the client does not see the end but an error.
    pub(crate) async fn close(mut self) {
        let ending = async {
            self.stream.shutdown().await?;
            io::copy(&mut self.stream.take(UNREAD), &mut io::sink()).await
        };
        // Either way it is closed.
        let _ = timeout(LAST_LOOK, ending).await;
    }
}

impl<S> Greeted<S> {
    pub(crate) fn speaks_http2(&self) -> bool {
        self.said == *PREFACE
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = &self.said[self.read_again..self.heard];
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let fits = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..fits]);
        self.read_again += fits;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
