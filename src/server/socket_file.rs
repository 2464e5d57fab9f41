//! A socket in the file system. Its mode says who may connect, and it is gone when the server is.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use socket2::{Domain, SockAddr, Socket, Type};

use super::bind::BACKLOG;

/// Removes the file when dropped, unless somebody else's has taken its place.
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device and number, and when it was made: numbers are used again.
type Identity = (u64, u64, i64, i64);

impl SocketFile {
    /// Takes the path. What a server that was killed has left there is removed.
    pub(crate) fn bind(path: &Path, mode: u32) -> io::Result<(UnixListener, Self)> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let address = SockAddr::unix(path)?;
        match socket.bind(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path)? => {
                fs::remove_file(path)?;
                socket.bind(&address)?;
            }
            bound => bound?,
        }
        let file = Self {
            path: path.to_owned(),
            identity: identity(&fs::symlink_metadata(path)?),
        };
        // Nobody can connect before the socket listens, so nobody comes in by a wider mode.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        socket.listen(BACKLOG)?;
        Ok((socket.into(), file))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| identity(&metadata) == self.identity);
        if ours {
            // A directory that has become read-only keeps it, and the next server replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether it is a socket on which nobody listens.
fn is_stale(path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        _ => Ok(false),
    }
}

fn identity(metadata: &fs::Metadata) -> Identity {
    let (device, number) = (metadata.dev(), metadata.ino());
    (device, number, metadata.mtime(), metadata.mtime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn only_those_whom_the_mode_names_may_connect() {
        let directory = directory();
        let path = directory.path().join("socket");
        let (_listener, file) = SocketFile::bind(&path, 0o640).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        UnixStream::connect(&path).unwrap();
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_nobody_listens_on_is_replaced() {
        let directory = directory();
        let path = directory.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        SocketFile::bind(&path, 0o600).unwrap();
    }

    #[test]
    fn a_server_that_listens_and_a_file_that_is_no_socket_stay() {
        let directory = directory();
        let path = directory.path().join("socket");
        let _other = UnixListener::bind(&path).unwrap();
        let error = SocketFile::bind(&path, 0o600).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();

        let path = directory.path().join("file");
        fs::write(&path, "kept").unwrap();
        assert!(SocketFile::bind(&path, 0o600).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    }

    #[test]
    fn the_socket_of_a_successor_is_not_removed() {
        let directory = directory();
        let path = directory.path().join("socket");
        let (_listener, ours) = SocketFile::bind(&path, 0o600).unwrap();
        let elsewhere = directory.path().join("elsewhere");
        let (_listener, _theirs) = SocketFile::bind(&elsewhere, 0o600).unwrap();
        fs::rename(&elsewhere, &path).unwrap();
        drop(ours);
        UnixStream::connect(&path).unwrap();
    }
}
