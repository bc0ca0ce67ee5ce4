// Types of CSP.js. `import '/_/CSP.js'` and a script tag set the globals; require() returns this module.

export type Transport = 'websocket' | 'sse' | 'stream' | 'longpoll' | 'jsonp';

/** Why a session ended. A WebSocket's close code in brackets. */
export type CloseReason =
  /** Ended by either side, with all data delivered. */
  | 'clean'
  /** The server does not allow it: its policy, or a batch that breaks the protocol. [1008; 401, 403] */
  | 'refused'
  /** Something was over a limit. [1009; 413] */
  | 'too-big'
  /** The session's token has expired or was revoked: come back with a new one. Only a WebSocket tells. [4401] */
  | 'token'
  /** The application ended the session: do not come back unasked. Only a WebSocket tells; the others say clean. [4403] */
  | 'kicked'
  /** The server does not know the session (any more): connect again. [4404; 404] */
  | 'expired'
  /** The server gave the client up, or could not be reached for as long as it keeps a session: connect again. [4408] */
  | 'timeout'
  /** More waited for this client than the server keeps, so the session is gone: connect again. [4413] */
  | 'overflow'
  /** No answer to the handshake in time (`timeouts.request`), or no transport is left. */
  | 'unreachable'
  /** A packet is missing, or what came is nonsense. [400] */
  | 'protocol';

export interface ConnectOptions {
  /** Downstreams to choose from, the best first. Default: all, as in `CSP.transports`. */
  transports?: Transport[];
  /** Name and credential for the server's policy; sent with the handshake. */
  user?: string;
  token?: string;
  /** Seconds that the server may hold a request; 1 to 40, default 30. */
  duration?: number;
  /** onread gets Uint8Arrays instead of text. */
  binary?: boolean;
  /** Whether the transport that worked is tried first next time (localStorage, by address). Default true. */
  remember?: boolean;
  /**
   * A name for the session in this tab: a page that is loaded again in time (`timeouts.resume`) and connects with the same name
   * goes on where it was (sessionStorage). See `resumed`. A page that the browser kept for the way back goes on too; when
   * it cannot, it begins a new session by itself: onopen is called again.
   */
  resume?: string;
  timeouts?: Timeouts;
}

/** How long things may take, in milliseconds, finite; of a pair, the first pause and the longest, doubled each time. */
export interface Timeouts {
  /** A downstream opens within this, or another transport has its turn. Default 10000. */
  open?: number;
  /** A handshake, a send, and an answer on a WebSocket; a server silent for so long at first is unreachable. Default 10000. */
  request?: number;
  /** A WebSocket that may have died unseen (in sleep, on another network) answers within this. Default 3000. */
  check?: number;
  /** Between attempts. Default [50, 5000]. */
  backoff?: [number, number];
  /** How long a transport that failed is passed over. Default 60000. */
  failed?: number;
  /** Before a better transport is looked for. Default [15000, 600000]. */
  better?: [number, number];
  /** How long close() waits for the server to have everything. Default 2000. */
  goodbye?: number;
  /** How late a page may go on by `resume`; the server forgets after a minute. Default 60000. */
  resume?: number;
}

export interface Stats {
  /** Packets read. */
  received: number;
  /** Packets that came twice and were dropped. */
  repeated: number;
  /** Packets that never came; a gap ends the session. */
  lost: number;
  /** How often the session moved to another transport. */
  switches: number;
}

/** One ordered stream each way over whatever connection works. May be connected again after onclose; stats go on. */
export class CometSession {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;

  onopen: (() => void) | null;
  onread: ((data: any) => void) | null;
  onclose: ((reason: CloseReason, detail: string) => void) | null;
  ontransport: ((name: Transport | '') => void) | null;

  /** CLOSED before connect() too. */
  readonly readyState: 0 | 1 | 2 | 3;
  /** The downstream now; '' while there is none. */
  readonly transport: Transport | '';
  /** Characters written and not yet acknowledged by the server. */
  readonly bufferedAmount: number;
  readonly stats: Stats;
  /** At onopen: whether this is the session that the page had before it was loaded again. */
  readonly resumed: boolean;

  connect(base: string, options?: ConnectOptions): void;
  /** False after close. */
  write(data: string | ArrayBuffer | ArrayBufferView): boolean;
  close(): void;
  /** Moves now, in mid-stream, to the first of these that works. */
  switchTo(transports: Transport[]): void;
  /** Sets the choice; moves only when the present transport is not in it. */
  setTransports(transports: Transport[]): void;
  /** Drops the present connection without ending the session. */
  cut(): void;
}

export const transports: Transport[];
export as namespace CSP;
