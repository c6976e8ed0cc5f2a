//! What connections run on: QUIC, TCP, WebSocket, and circuits through a relay, composed into one
//! transport. Every connection leaves here encrypted, authenticated and with its streams metered,
//! whatever it runs on.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::FutureExt;
use libp2p::{
    PeerId, Transport as _,
    core::{
        muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, StreamMuxerExt},
        transport::Boxed,
        upgrade::Version,
    },
    dns, identity, noise, quic, relay, tcp, websocket, yamux,
};
use tokio::time::{Sleep, sleep};

use super::{
    behaviour::setup,
    error::NetError,
    limits::{
        DIAL_TIMEOUT, QUIC_CONNECTION_WINDOW_BYTES, QUIC_IDLE_TIMEOUT_MS, QUIC_KEEP_ALIVE,
        QUIC_STREAM_WINDOW_BYTES, TCP_STREAMS_PER_CONNECTION_MAX, WEBSOCKET_FRAME_BYTES_MAX,
    },
    meter::Meter,
};

fn streams() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(TCP_STREAMS_PER_CONNECTION_MAX);
    config
}

/// Host names resolved as the system says. A machine without a usable /etc/resolv.conf still reaches
/// peers by number; host names then fail at the step "resolve", where the operator looks.
fn resolving<T>(inner: impl Fn() -> T) -> dns::tokio::Transport<T> {
    dns::tokio::Transport::system(inner()).unwrap_or_else(|error| {
        tracing::warn!(%error, "host names of peers cannot be resolved");
        let nowhere = dns::ResolverConfig::from_parts(None, Vec::new(), Vec::new());
        dns::tokio::Transport::custom(inner(), nowhere, dns::ResolverOpts::default())
    })
}

fn quic_config(key: &identity::Keypair) -> quic::Config {
    let mut quic = quic::Config::new(key);
    quic.keep_alive_interval = QUIC_KEEP_ALIVE;
    quic.max_idle_timeout = QUIC_IDLE_TIMEOUT_MS;
    quic.handshake_timeout = DIAL_TIMEOUT;
    quic.max_stream_data = QUIC_STREAM_WINDOW_BYTES;
    quic.max_connection_data = QUIC_CONNECTION_WINDOW_BYTES;
    quic
}

/// Every transport of a node, and the behaviour that belongs to the circuits among them.
pub(super) fn build(
    key: &identity::Keypair,
    meter: &Arc<Meter>,
) -> Result<(Boxed<(PeerId, StreamMuxerBox)>, relay::client::Behaviour), NetError> {
    let noise = noise::Config::new(key).map_err(setup)?;
    let tcp = || tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let plain = || {
        let tcp = tcp()
            .upgrade(Version::V1Lazy)
            .authenticate(noise.clone())
            .multiplex(streams())
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
        let quic = quic::tokio::Transport::new(quic_config(key))
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
        quic.or_transport(tcp).map(|either, _| either.into_inner())
    };
    // Resolved inside: behind TLS the name, not the number, is what the relay's certificate shows.
    let mut websocket = websocket::Config::new(resolving(tcp));
    websocket.set_max_data_size(WEBSOCKET_FRAME_BYTES_MAX);
    let websocket = websocket
        .upgrade(Version::V1Lazy)
        .authenticate(noise.clone())
        .multiplex(streams())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let (circuits, behaviour) = relay::client::new(key.public().to_peer_id());
    let circuits = circuits
        .upgrade(Version::V1Lazy)
        .authenticate(noise.clone())
        .multiplex(streams())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let meter = meter.clone();
    let all = circuits
        .or_transport(websocket)
        .map(|either, _| either.into_inner())
        .or_transport(resolving(plain))
        .map(move |either, _| {
            let (peer, muxer): (PeerId, StreamMuxerBox) = either.into_inner();
            let muxer = Metered { peer, muxer, meter: meter.clone(), pause: None };
            (peer, StreamMuxerBox::new(muxer))
        })
        .boxed();
    Ok((all, behaviour))
}

/// A connection whose inbound streams are counted, and taken more slowly when there are too many: the
/// peer's own window then fills, so a flood waits at its source and not in this process.
struct Metered {
    peer: PeerId,
    muxer: StreamMuxerBox,
    meter: Arc<Meter>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl StreamMuxer for Metered {
    type Substream = <StreamMuxerBox as StreamMuxer>::Substream;
    type Error = <StreamMuxerBox as StreamMuxer>::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.poll_unpin(cx));
            self.pause = None;
        }
        let stream = ready!(self.muxer.poll_inbound_unpin(cx))?;
        if let Some(pause) = self.meter.stream(&self.peer) {
            self.pause = Some(Box::pin(sleep(pause)));
        }
        Poll::Ready(Ok(stream))
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        self.muxer.poll_outbound_unpin(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.muxer.poll_close_unpin(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        self.muxer.poll_unpin(cx)
    }
}
