//! A file on a disk that answers when the test lets it: a FUSE file system of one file.

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEntry, Request,
};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

const NAME: &str = "file";
const INODE: INodeNo = INodeNo(2);
const TTL: Duration = Duration::from_secs(60);

/// A mounted file. It goes with this.
pub struct SlowFile {
    gate: Arc<Gate>,
    _session: BackgroundSession,
    dir: TempDir,
}

/// Reads that wait, and whether new ones have to.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    waiting: Vec<(ReplyData, Vec<u8>)>,
}

struct Disk {
    content: Vec<u8>,
    gate: Arc<Gate>,
}

impl SlowFile {
    /// Mounts a copy of `path`'s content; `None`, and a line that says so, where this user may
    /// not mount.
    pub fn mount(path: &Path) -> Option<Self> {
        let gate = Arc::<Gate>::default();
        let disk = Disk {
            content: std::fs::read(path).unwrap(),
            gate: gate.clone(),
        };
        let dir = TempDir::new().unwrap();
        let mut config = Config::default();
        config.mount_options = vec![MountOption::RO, MountOption::FSName("weir-test".into())];
        match fuser::spawn_mount(disk, dir.path(), &config) {
            Ok(session) => Some(Self {
                gate,
                _session: session,
                dir,
            }),
            Err(e) => {
                eprintln!("skipped: this user may not mount a file system: {e}");
                None
            }
        }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(NAME)
    }

    /// From now on reads wait.
    pub fn hold(&self) {
        self.gate.state.lock().unwrap().closed = true;
    }

    /// Reads that wait now.
    pub fn waiting(&self) -> usize {
        self.gate.state.lock().unwrap().waiting.len()
    }

    /// Answers the reads that wait, and all later ones at once.
    pub fn release(&self) {
        let mut state = self.gate.state.lock().unwrap();
        state.closed = false;
        for (reply, bytes) in state.waiting.drain(..) {
            reply.data(&bytes);
        }
    }
}

impl Drop for SlowFile {
    fn drop(&mut self) {
        self.release();
    }
}

impl Disk {
    fn attributes(&self, inode: INodeNo) -> FileAttr {
        let is_file = inode == INODE;
        let size = if is_file {
            self.content.len() as u64
        } else {
            0
        };
        FileAttr {
            ino: inode,
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_file {
                FileType::RegularFile
            } else {
                FileType::Directory
            },
            perm: 0o755,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        }
    }
}

impl Filesystem for Disk {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name == NAME {
            true => reply.entry(&TTL, &self.attributes(INODE), Generation(0)),
            false => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attributes(inode));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let start = (offset as usize).min(self.content.len());
        let end = (start + size as usize).min(self.content.len());
        let bytes = &self.content[start..end];
        let mut state = self.gate.state.lock().unwrap();
        if state.closed {
            state.waiting.push((reply, bytes.to_vec()));
        } else {
            drop(state);
            reply.data(bytes);
        }
    }
}
