//! Clients of other push servers, to compare with: a protocol is a file here and a row in [`ROWS`].
//!
//! In and out: as of any mode. They subscribe to `--channel` and read only as much as counting needs.

mod mqtt;
mod nats;
mod nchan;
mod socketio;

use super::Row;

/// Every foreign kind of client but `template`.
pub const ROWS: [Row; 4] = [
    Row {
        name: "mqtt",
        help: "MQTT 3.1.1 on TCP, quality 0: Mosquitto",
        floor: "ws",
        subscribes: true,
        make: |_| Box::new(mqtt::Mqtt),
    },
    Row {
        name: "nats",
        help: "NATS on TCP",
        floor: "ws",
        subscribes: true,
        make: |_| Box::new(nats::Nats),
    },
    Row {
        name: "nchan-poll",
        help: "Nchan's long-polls at --path; ready as soon as it has asked",
        floor: "events",
        subscribes: true,
        make: |wish| Box::new(nchan::Poll::new(wish.template.path_or("/"))),
    },
    Row {
        name: "socket.io",
        help: "Socket.IO on a WebSocket",
        floor: "ws",
        subscribes: true,
        make: |_| Box::new(socketio::SocketIo),
    },
];
