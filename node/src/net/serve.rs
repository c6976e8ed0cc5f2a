//! Serves bulk streams that peers open: takes each from the library at once (it holds only one),
//! gives it a task with a place on the peer's count, and lets the service decide what flows. Ends with
//! the network task, and all its streams with it.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{PeerId, Stream};
use libp2p_stream::IncomingStreams;
use tokio::{task::JoinSet, time::timeout};

use super::{
    Service,
    bulk::{Opening, ServeError, read_request, within, write_frames, write_opening},
    counters::Counter,
    limits::{Limits, REQUEST_BYTES_MAX, STRIKE_BAD, STRIKE_BUSY, STRIKE_STALLED},
    shared::{Place, Shared},
    task::{LogBudget, guarded},
};

struct Bulk {
    service: Arc<dyn Service>,
    shared: Arc<Shared>,
    limits: Limits,
    log: Mutex<LogBudget>,
}

/// Takes streams until the network stops.
pub(super) async fn serve_bulk(
    mut incoming: IncomingStreams,
    service: Arc<dyn Service>,
    shared: Arc<Shared>,
    limits: Limits,
) {
    let bulk = Arc::new(Bulk { service, shared, limits, log: Mutex::default() });
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            next = incoming.next() => {
                let Some((peer, stream)) = next else { break };
                let place = bulk.shared.bulk_place(&peer);
                let bulk = bulk.clone();
                streams.spawn(async move { bulk.serve(peer, stream, place).await });
            }
            Some(_) = streams.join_next() => {}
        }
    }
}

impl Bulk {
    /// A peer must not fill the disk; the counters go on counting.
    fn may_log(&self) -> bool {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn serve(&self, peer: PeerId, mut stream: Stream, place: Option<Place>) {
        let Some(place) = place else {
            self.shared.count(Counter::BulkBusy);
            self.shared.meter.strike(&peer, STRIKE_BUSY);
            if self.may_log() {
                tracing::warn!(%peer, "too many bulk streams open for this peer; answered busy");
            }
            let _ = timeout(self.limits.frame_timeout, turn_away(&mut stream)).await;
            return;
        };
        match self.answer(peer, stream).await {
            Ok(frames) => {
                self.shared.count(Counter::BulkServed);
                tracing::debug!(%peer, frames, "bulk stream served");
            }
            Err(error) => {
                self.shared.count(Counter::BulkServeFailed);
                if matches!(error, ServeError::Stalled(_)) {
                    // It held a place for nothing; a bad line does so now and then, and that fades.
                    self.shared.meter.strike(&peer, STRIKE_STALLED);
                }
                if self.may_log() {
                    tracing::warn!(%peer, %error, "bulk stream stopped while being served");
                }
            }
        }
        drop(place);
    }

    async fn answer(&self, peer: PeerId, mut stream: Stream) -> Result<u64, ServeError> {
        let limit = self.limits.frame_timeout;
        let request = within(limit, read_request(&mut stream)).await.inspect_err(|error| {
            // Too long or cut short: an honest peer's line breaks now and then. Stalls count in `serve`.
            if !matches!(error, ServeError::Stalled(_)) {
                self.shared.meter.strike(&peer, STRIKE_BAD);
            }
        })?;
        let service = self.service.clone();
        let work = async move { service.bulk(peer, request).await };
        let (opening, source) = match guarded(self.limits.service_timeout, work).await {
            Some(Ok(source)) => (Opening::Frames, Some(source)),
            Some(Err(reply)) => (Opening::Refused(reply), None),
            None => {
                self.shared.count(Counter::ServiceFailed);
                tracing::error!(%peer, "the service failed to open a bulk stream");
                (Opening::Failed, None)
            }
        };
        within(limit, write_opening(&mut stream, &opening)).await?;
        match source {
            Some(source) => write_frames(stream, source, limit).await,
            None => {
                within(limit, stream.close()).await?;
                Ok(0)
            }
        }
    }
}

/// Reads the request away, so that the answer is not lost to a reset, and says "busy".
async fn turn_away(stream: &mut Stream) -> io::Result<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let rest = u64::from(u32::from_be_bytes(length)).min(REQUEST_BYTES_MAX as u64);
    let mut request = (&mut *stream).take(rest);
    futures::io::copy(&mut request, &mut futures::io::sink()).await?;
    write_opening(stream, &Opening::Busy).await?;
    stream.close().await
}
