//! A kernel that refuses gets an explanation.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use weir_ring::{Config, Runtime, Unavailable, probe};

/// Makes `io_uring_setup` fail with `errno` for the calling thread.
fn forbid_setup(errno: u16) {
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let jump = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let number = libc::SYS_io_uring_setup as u32;
    let filter = [
        libc::sock_filter {
            code: load,
            jt: 0,
            jf: 0,
            k: 0,
        },
        libc::sock_filter {
            code: jump,
            jt: 0,
            jf: 1,
            k: number,
        },
        libc::sock_filter {
            code: answer,
            jt: 0,
            jf: 0,
            k: libc::SECCOMP_RET_ERRNO | u32::from(errno),
        },
        libc::sock_filter {
            code: answer,
            jt: 0,
            jf: 0,
            k: libc::SECCOMP_RET_ALLOW,
        },
    ];
    let program = libc::sock_fprog {
        len: 4,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the program and its filter live until the call returns, and bind this thread only.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(
            libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program),
            0
        );
    }
}

fn refusal(errno: i32) -> (Unavailable, Unavailable) {
    let thread = std::thread::spawn(move || {
        forbid_setup(errno as u16);
        (
            probe().unwrap_err(),
            Runtime::new(Config::default()).err().unwrap(),
        )
    });
    thread.join().unwrap()
}

#[test]
fn a_seccomp_profile_is_named_as_the_likely_cause() {
    for error in <[_; 2]>::from(refusal(libc::EPERM)) {
        assert!(matches!(error, Unavailable::Forbidden { .. }), "{error:?}");
        assert!(error.to_string().contains("io_uring_disabled"), "{error}");
    }
}

#[test]
fn a_kernel_without_io_uring_is_told_apart() {
    for error in <[_; 2]>::from(refusal(libc::ENOSYS)) {
        assert!(
            matches!(error, Unavailable::KernelTooOld { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("6.1"), "{error}");
    }
    let (_, error) = refusal(libc::ENOMEM);
    assert!(error.to_string().contains("LimitMEMLOCK"), "{error}");
}

#[test]
fn settings_out_of_range_are_named() {
    let check = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        Runtime::new(config).err().unwrap().to_string()
    };
    assert!(check(|c| c.sq_entries = 3).contains("sq_entries"));
    assert!(check(|c| c.cq_entries = 64).contains("cq_entries"));
    assert!(check(|c| c.recv_buffers = 0).contains("recv_buffers"));
    assert!(check(|c| c.recv_buffer_len = 1).contains("recv_buffer_len"));
    assert!(check(|c| c.cpu = Some(100_000)).contains("cpu"));
}

#[test]
fn a_runtime_can_be_pinned() {
    let thread = std::thread::spawn(|| {
        let mut runtime = Runtime::new(Config::default().on_cpu(0)).unwrap();
        // SAFETY: the call takes nothing.
        runtime.block_on(async { assert_eq!(unsafe { libc::sched_getcpu() }, 0) });
    });
    thread.join().unwrap();
}

#[test]
fn rings_come_and_go_without_leaking_descriptors() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let thread = std::thread::spawn(move || {
        drop(Runtime::new(Config::default()).unwrap());
        let before = open();
        for _ in 0..40 {
            drop(Runtime::new(Config::default()).unwrap());
        }
        // Other tests of this process open some of their own meanwhile.
        assert!(open() < before + 20);
    });
    thread.join().unwrap();
}
