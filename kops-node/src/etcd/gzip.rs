//! Snapshots are packed: in the state store, most of them are repetition.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use flate2::Compression;
use flate2::bufread::{GzDecoder, GzEncoder};

/// Packs a file. What comes out is held in memory.
pub(super) async fn pack(file: PathBuf) -> io::Result<Vec<u8>> {
    aside(move || {
        let mut packed = Vec::new();
        GzEncoder::new(BufReader::new(File::open(file)?), Compression::default()).read_to_end(&mut packed)?;
        Ok(packed)
    })
    .await
}

/// Writes what was packed to a file that nobody else may read.
pub(super) async fn unpack(packed: Vec<u8>, file: PathBuf) -> io::Result<()> {
    aside(move || {
        let mut out = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(file)?;
        io::copy(&mut GzDecoder::new(packed.as_slice()), &mut out)?;
        out.sync_all()
    })
    .await
}

/// Work that takes seconds and waits for nobody.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_packed_is_unpacked() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        let contents = b"etcd ".repeat(10_000);
        std::fs::write(&from, &contents).unwrap();
        let packed = pack(from).await.unwrap();
        assert!(packed.len() < 1000, "{}", packed.len());
        unpack(packed.clone(), to.clone()).await.unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), contents);
        assert!(unpack(packed[..packed.len() / 2].to_vec(), to.clone()).await.is_err());
        assert!(unpack(b"no gzip".to_vec(), to).await.is_err());
    }
}
