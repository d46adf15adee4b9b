//! Whoever was refused too often at one worker is refused at every worker.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::Publisher;
use weir_auth::Policy;
use weir_auth::key::KeyHash;
use weir_auth::policy::Input;
use weir_live::{Live, Refused};
use weir_media::StreamName;
use weir_net::limits::REFUSALS_BURST;
use weir_ring::{Config, Runtime};

const KEY: &str = "0123456789abcdef";

#[test]
fn workers_share_what_they_know_of_who_guesses_keys() {
    let dir = common::temp_dir();
    let input = Input::with_key(StreamName::parse("camera").unwrap(), KeyHash::of(KEY));
    let policy = Policy::new(false, vec![input]).unwrap();
    let (shared, handoffs) = common::shared(dir.path(), policy, 2);
    let counters = shared.counters.clone();
    let refused = |reason| counters.refused.get_or_create(&reason).get();
    Runtime::new(Config::default()).unwrap().block_on(async {
        let mut workers = Vec::new();
        for (index, handoffs) in handoffs.into_iter().enumerate() {
            let live = Live::new(shared.clone(), index);
            live.start(handoffs);
            workers.push(common::listen(live));
        }
        let answers = common::beside(move || {
            // The right key is accepted while there are few wrong ones.
            let mut answers = vec![Publisher::connect(workers[1], KEY).err()];
            for _ in 0..REFUSALS_BURST {
                answers.push(Publisher::connect(workers[0], "a-wrong-key").err());
            }
            answers.push(Publisher::connect(workers[1], KEY).err());
            answers
        })
        .await;
        let (last, before) = answers.split_last().unwrap();
        let (first, wrong) = before.split_first().unwrap();
        assert_eq!(*first, None);
        for answer in wrong {
            assert_eq!(answer.as_deref(), Some("NetStream.Publish.BadName"));
        }
        assert!(last.is_some(), "the other worker takes no more");
    });
    assert_eq!(refused(Refused::Key), u64::from(REFUSALS_BURST));
    assert_eq!(refused(Refused::Rate), 1);
}
