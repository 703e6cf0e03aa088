//! Downloads from their makers.

use std::io::Write;

use futures::stream::{self, StreamExt};
use kops_core::web::{Body, Web, WebError};

use super::*;

/// Files on the web, and how much of each a server gives before it hangs up.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    patience: Mutex<Option<usize>>,
    asked: Mutex<Vec<(String, u64)>>,
}

impl Shelf {
    pub(super) fn put(&self, url: &str, contents: &[u8]) {
        self.files.lock().unwrap().insert(url.to_owned(), contents.to_vec());
    }

    fn hang_up_after(&self, bytes: impl Into<Option<usize>>) {
        *self.patience.lock().unwrap() = bytes.into();
    }

    fn asked(&self) -> Vec<u64> {
        std::mem::take(&mut *self.asked.lock().unwrap()).into_iter().map(|(_, offset)| offset).collect()
    }
}

#[async_trait]
impl Web for Shelf {
    async fn get(&self, url: &str, offset: u64) -> Result<Body, WebError> {
        self.asked.lock().unwrap().push((url.to_owned(), offset));
        let file = self.files.lock().unwrap().get(url).cloned();
        let file = file
            .ok_or_else(|| WebError::new(ErrorClass::Unavailable, url, "the server answers 404 Not Found"))?;
        let rest = file[usize::try_from(offset).unwrap()..].to_vec();
        let cut = self.patience.lock().unwrap().filter(|patience| *patience < rest.len());
        let mut sent = vec![Ok(rest[..cut.unwrap_or(rest.len())].to_vec())];
        sent.extend(cut.map(|_| Err(WebError::new(ErrorClass::Unavailable, url, "connection reset"))));
        Ok(Body { offset, bytes: stream::iter(sent).boxed() })
    }
}

const URL: &str = "https://example.com/file";

fn asset(name: &str, contents: &[u8], files: &[&str]) -> Asset {
    Asset {
        name: name.to_owned(),
        sha256: sha256_hex(contents),
        source: Source::Url(URL.to_owned()),
        files: files.iter().map(|file| (*file).to_owned()).collect(),
        directory: None,
    }
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o755);
        archive.append_data(&mut header, name, contents.as_bytes()).unwrap();
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&archive.into_inner().unwrap()).unwrap();
    packed.finish().unwrap()
}

/// A worker that fetches one more file.
fn bench_with(asset: &Asset) -> Bench {
    let mut bench = bench();
    let mut config = (*bench.node.config).clone();
    config.assets = vec![asset.clone()];
    bench.node.config = Arc::new(config);
    bench
}

async fn ensure(bench: &Bench, name: &str) -> Result<(), String> {
    let node = &bench.node;
    let done = node.downloads.ensure(&node.config, node.store.as_ref(), &node.root, name).await;
    done.map_err(|error| error.to_string())
}

fn read(bench: &Bench, name: &str) -> Option<String> {
    let found = bench.node.root.read(&format!("/opt/kops/bin/{name}"));
    found.map(|found| String::from_utf8(found).unwrap())
}

/// What lies beside the programs.
fn files(bench: &Bench) -> Vec<String> {
    let directory = std::fs::read_dir(bench.node.root.path("/opt/kops/bin")).unwrap();
    let mut names: Vec<_> =
        directory.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_program_is_fetched_once() {
    let bench = bench_with(&asset("runc", b"program", &[]));
    bench.shelf.put(URL, b"program");
    ensure(&bench, "runc").await.unwrap();
    ensure(&bench, "runc").await.unwrap();
    assert_eq!(read(&bench, "runc").as_deref(), Some("program"));
    assert_eq!(bench.shelf.asked(), [0]);
    assert_eq!(files(&bench), ["runc"]);
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(bench.node.root.path("/opt/kops/bin/runc")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let bench = bench_with(&asset("runc", b"0123456789", &[]));
    bench.shelf.put(URL, b"0123456789");
    bench.shelf.hang_up_after(3);
    ensure(&bench, "runc").await.unwrap();
    assert_eq!(read(&bench, "runc").as_deref(), Some("0123456789"));
    assert_eq!(bench.shelf.asked(), [0, 3, 6, 9]);
}

#[tokio::test]
async fn what_a_dead_server_gave_is_kept_for_later() {
    let bench = bench_with(&asset("runc", b"0123456789", &[]));
    bench.shelf.put(URL, b"0123456789");
    bench.shelf.hang_up_after(1);
    let error = ensure(&bench, "runc").await.unwrap_err();
    insta::assert_snapshot!(error, @"program runc: https://example.com/file: connection reset, after 5 bytes");
    assert_eq!(read(&bench, "runc"), None);
    bench.shelf.hang_up_after(None);
    bench.shelf.asked();
    ensure(&bench, "runc").await.unwrap();
    assert_eq!(bench.shelf.asked(), [5]);
}

#[tokio::test]
async fn another_file_is_not_kept() {
    let bench = bench_with(&asset("runc", b"program", &[]));
    bench.shelf.put(URL, b"another");
    insta::assert_snapshot!(ensure(&bench, "runc").await.unwrap_err(), @"program runc: https://example.com/file has SHA-256 ae448ac86c4e8e4dec645729708ef41873ae79c6dff84eff73360989487f08e5 (7 bytes), expected 1310ca2c8932dbd118668bd97442558a3e1f546b5e15c69699dfbd6024f548d8; it is not kept");
    assert_eq!(files(&bench), Vec::<String>::new());
    bench.shelf.put(URL, b"program");
    ensure(&bench, "runc").await.unwrap();
    assert_eq!(read(&bench, "runc").as_deref(), Some("program"));
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let bench = bench_with(&asset("runc", b"program", &[]));
    insta::assert_snapshot!(ensure(&bench, "runc").await.unwrap_err(), @"program runc: https://example.com/file: the server answers 404 Not Found");
}

#[tokio::test]
async fn of_an_archive_only_what_is_asked_for_is_taken() {
    let packed = archive(&[("./v1/etcd", "server"), ("v1/etcdctl", "client"), ("v1/README.md", "text")]);
    let bench = bench_with(&asset("etcd", &packed, &["v1/etcd", "v1/etcdctl"]));
    bench.shelf.put(URL, &packed);
    let (first, second) = futures::join!(ensure(&bench, "etcd"), ensure(&bench, "etcdctl"));
    first.unwrap();
    second.unwrap();
    assert_eq!(files(&bench), ["etcd", "etcdctl"]);
    assert_eq!(read(&bench, "etcdctl").as_deref(), Some("client"));
    assert_eq!(bench.shelf.asked(), [0], "both are in one file");
    std::fs::write(bench.node.root.path("/opt/kops/bin/etcd"), "touched").unwrap();
    ensure(&bench, "etcd").await.unwrap();
    assert_eq!(read(&bench, "etcd").as_deref(), Some("server"));
}

#[tokio::test]
async fn an_archive_of_another_layout_is_said() {
    let packed = archive(&[("v2/etcd", "server")]);
    let bench = bench_with(&asset("etcd", &packed, &["v1/etcd"]));
    bench.shelf.put(URL, &packed);
    insta::assert_snapshot!(ensure(&bench, "etcd").await.unwrap_err(), @"program etcd: the archive of etcd has no v1/etcd");
}
