// Types of Revolved.js. A script tag or `import '/_/Revolved.js'` sets the global `Revolved`; CSP.js comes first.

import type { CloseReason, CometSession, Timeouts, Transport } from './CSP';

declare namespace Revolved {
  interface Options {
    /** Origin of the server; default: where the script came from. */
    url?: string;
    user?: string;
    credentials?: unknown;
    transports?: Transport[];
    token?: string;
    duration?: number;
    /** Of the session below. */
    timeouts?: Timeouts;
  }

  interface SubscribeOptions {
    /** How many earlier messages to bring. */
    history?: number;
    /** Members in the answer, then onjoin and onleave. */
    presence?: boolean;
    /** Go on after this message; reconnects do it by themselves. */
    since?: { epoch: string; offset: number };
  }

  interface Subscription {
    epoch?: string;
    offset?: number;
    recovered?: boolean;
    messages?: { offset: number; sender: string | null; payload: any }[];
    members?: string[];
  }

  /** `history`: the message is from the channel's history. */
  interface Info { offset?: number; history?: true; [more: string]: any }

  type Callback = (payload: any, sender: string | null, info: Info, channel: string) => void;

  class RevolvedError extends Error {
    /** The server's code, or: closed, refused, kicked, overflow, state, protocol. */
    code: string | number;
    /** The call that failed. */
    verb?: string;
  }
}

declare class Revolved {
  constructor(options?: Revolved.Options);

  readonly csp: CometSession;
  readonly connected: boolean;
  readonly user: string | null;
  options: Revolved.Options;

  connect(user?: string, credentials?: unknown): Promise<string | null>;
  auth(user: string, credentials?: unknown): Promise<string>;
  /** A server that does not offer these options subscribes without them: no messages and no members in the answer. */
  subscribe(channel: string, callback?: Revolved.Callback | null, options?: Revolved.SubscribeOptions): Promise<Revolved.Subscription>;
  unsubscribe(...channels: string[]): Promise<any>;
  publish(channel: string, payload: any, options?: { id?: string }): Promise<{ offset: number }>;
  send(user: string, payload: any): Promise<{ sessions: number }>;
  presence(channel: string, options?: object): Promise<any>;
  history(channel: string, options?: object): Promise<any>;
  call(name: string, payload?: any): Promise<any>;
  disconnect(): Promise<void>;
  switchTo(transports: Transport[]): void;

  /** Signed in, at first (`again` false) and after every new session (true). */
  onopen: ((user: string | null, again: boolean) => void) | null;
  onpublish: ((channel: string, sender: string | null, payload: any, info: Revolved.Info) => void) | null;
  onreceive: ((sender: string | null, payload: any) => void) | null;
  onjoin: ((channel: string, user: string) => void) | null;
  onleave: ((channel: string, user: string) => void) | null;
  onsubscribed: ((channel: string) => void) | null;
  onunsubscribed: ((channel: string) => void) | null;
  /** `missed` is null when the server cannot tell how many. */
  ongap: ((channel: string, info: { missed: number | null }) => void) | null;
  /** The server's goodbye, ahead of the end: whether to come back, and how long to wait before. */
  onbye: ((code: string | number, text: string, info: { reconnect?: boolean; after_ms?: number }) => void) | null;
  /** `reconnects`: a new session is on its way. Not after refused and kicked, nor when the goodbye said so. */
  onclose: ((reason: CloseReason, reconnects: boolean, detail: string) => void) | null;
  /** Every call that failed, awaited or not. */
  onerror: ((error: Revolved.RevolvedError) => void) | null;
  ontransport: ((name: Transport | '') => void) | null;
}

export = Revolved;
export as namespace Revolved;
