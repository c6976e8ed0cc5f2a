//! Bulk streams.

use super::*;

async fn read_all(reader: &mut BulkReader) -> Result<u32, NetError> {
    let mut count = 0;
    while let Some(bytes) = reader.next().await? {
        assert_eq!(bytes, frame(count));
        count += 1;
    }
    Ok(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_frames_arrive_in_order_and_end() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let (a, b) = pair(listen, quick()).await;
            let mut reader = a.net.bulk(b.id(), script(ECHO, 5_000)).await.unwrap();
            assert_eq!(read_all(&mut reader).await.unwrap(), 5_000);
            assert_eq!(reader.frames(), 5_000);
            until("the server saw the end", || b.net.counter(Counter::BulkServed) == 1).await;
            assert_eq!(a.net.counter(Counter::BulkCut), 0);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_cut_in_the_middle_is_an_error_not_an_end() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let (a, b) = pair(listen, quick()).await;
            let mut reader = a.net.bulk(b.id(), script(STALL, 50)).await.unwrap();
            for index in 0..50 {
                assert_eq!(reader.next().await.unwrap(), Some(frame(index)));
            }
            b.net.shutdown().await;
            let error = reader.next().await.unwrap_err();
            assert_eq!(error.code(), "net-bulk-cut");
            assert!(matches!(error, NetError::BulkCut { frames: 50, .. }));
            assert_eq!(a.net.counter(Counter::BulkCut), 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_falls_silent_runs_into_the_frame_timer() {
    bounded(async {
        let limits = Limits { frame_timeout: Duration::from_millis(400), ..quick() };
        let (a, b) = pair(QUIC, limits).await;
        let mut reader = a.net.bulk(b.id(), script(STALL, 3)).await.unwrap();
        let error = read_all(&mut reader).await.unwrap_err();
        assert!(matches!(error, NetError::BulkCut { frames: 3, .. }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_falls_silent_frees_its_place_at_the_sender() {
    bounded(async {
        let limits = Limits { frame_timeout: Duration::from_millis(500), ..quick() };
        for listen in [QUIC, TCP] {
            let (a, b) = pair(listen, limits.clone()).await;
            // More than any window holds, and nobody reads.
            let reader = a.net.bulk(b.id(), script(ECHO, 2_000_000)).await.unwrap();
            until("the sender gives up", || b.net.counter(Counter::BulkServeFailed) == 1).await;
            drop(reader);
            a.ask(&b, script(ECHO, 1)).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_brings_the_services_words() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let (a, b) = pair(listen, quick()).await;
            let refused = a.net.bulk(b.id(), script(REFUSE, 0)).await.err().unwrap();
            let NetError::BulkRefused { reply, .. } = refused else {
                panic!("{refused}");
            };
            assert_eq!(reply, b"not yours");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_stops_is_told_from_a_cut() {
    bounded(async {
        let (a, b) = pair(QUIC, quick()).await;
        let mut reader = a.net.bulk(b.id(), script(STOP, 3)).await.unwrap();
        let error = read_all(&mut reader).await.unwrap_err();
        assert_eq!(error.code(), "net-bulk-aborted");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_opened_at_once_all_come_through() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let (a, b) = pair(listen, quick()).await;
            let streams = (0..24).map(|_| async {
                let mut reader = a.net.bulk(b.id(), script(ECHO, 100)).await.unwrap();
                assert_eq!(read_all(&mut reader).await.unwrap(), 100);
            });
            futures::future::join_all(streams).await;
            assert_eq!(b.net.counter(Counter::BulkBusy), 0);
        }
    })
    .await;
}
