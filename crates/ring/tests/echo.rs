//! Echo over loopback.
use weir_ring::net::{TcpListener, TcpStream};
use weir_ring::{Config, Runtime};

#[test]
fn echo() {
    let mut rt = Runtime::new(Config::default()).unwrap();
    rt.block_on(async {
        let l = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let a = l.local_addr().unwrap();
        let mut l = TcpListener::from_std(l).unwrap();
        weir_ring::spawn(async move {
            let (mut s, _) = l.accept().await.unwrap();
            while let Some(b) = s.recv().await.unwrap() {
                s.send(b.into_bytes()).await.unwrap();
            }
            s.close().await;
        });
        let mut c = TcpStream::connect(a).await.unwrap();
        c.send("hello".into()).await.unwrap();
        assert_eq!(&*c.recv().await.unwrap().unwrap(), b"hello");
        c.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(c.recv().await.unwrap().is_none());
    });
}
