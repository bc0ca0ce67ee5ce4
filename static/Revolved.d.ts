// Types of Revolved.js. A script tag or `import '/_/Revolved.js'` sets the global `Revolved`; CSP.js comes first.

import type { CloseReason, CometSession, Timeouts, Transport } from './CSP';

declare namespace Revolved {
  interface Options {
    /** Origin of the server; default: where the script came from. */
    url?: string;
    user?: string | null;
    /** What proves it: a token, where the server checks tokens; `user` may be null then. */
    credentials?: unknown;
    transports?: Transport[];
    token?: string;
    duration?: number;
    /** Of the session below. */
    timeouts?: Timeouts;
  }

  interface SubscribeOptions {
    /** How many of the last messages to bring, where the channel keeps some; of an answer that is too long, the latest. */
    history?: number;
    /** Who is there, and from then on who comes and goes: see members(), onmembers, onjoin and onleave. */
    presence?: boolean;
    /** Go on after this message, as position() gave it; reconnects do it by themselves. */
    since?: Position | null;
  }

  /** A place in a channel. Offsets count from 1; a new epoch means that what was kept is lost. */
  interface Position { epoch: string; offset: number }

  interface Message { offset: number; sender: string | null; payload: any }

  /** Without a position for a pattern. */
  interface Subscription extends Partial<Position> {
    /** Whether `messages` is all that was missed since the last that we had. */
    recovered: boolean;
    /** The callback has had them. */
    messages: Message[];
    /** This session was subscribed before: there are no messages but those that come. */
    again?: true;
    /** Names, when asked for and told; `more` when the list goes on: members() will have all of it. */
    members?: string[];
    more?: boolean;
    /** How many users and sessions are there. Where the operator's rule is presence=count, only sessions. */
    users?: number;
    sessions?: number;
  }

  /** `history`: the message is from the channel's history. Without an offset in a channel that is read by a pattern only. */
  interface Info { offset?: number; history?: true }

  interface HistoryOptions {
    /** From behind this place on, the oldest first. */
    since?: Position | null;
    /** Back from in front of this offset, the latest first. Not with `since`. */
    before?: number;
    /** At most so many, by as many pages as they take; default 1000, Infinity is all. */
    limit?: number;
    /** The latest first. Not with `since`. */
    reverse?: boolean;
  }

  interface History extends Position {
    messages: Message[];
    /** Whether there is more in that direction. */
    more: boolean;
  }

  interface PresenceOptions {
    /** The page behind this name. */
    after?: string;
    limit?: number;
  }

  interface Presence {
    /** Missing where the operator's rule is presence=count. */
    members?: { user: string; sessions: number }[];
    more?: boolean;
    users?: number;
    sessions: number;
  }

  /** What became of a message at one session: `written` is all that a transport without acknowledgements tells. */
  interface Fate {
    state: 'acked' | 'written' | 'failed' | 'unknown';
    /** Of failed: why the session ended. Of unknown: ours ended first. */
    reason: string | null;
  }

  interface Gap {
    /** How many messages; null when nobody can tell. */
    missed: number | null;
    /** Those of them that the channel still keeps, the oldest first. */
    fetch(): Promise<Message[]>;
  }

  type Callback = (payload: any, sender: string | null, info: Info, channel: string) => void;

  class RevolvedError extends Error {
    /** The server's code, or: closed, refused, kicked, token, overflow, state, protocol. */
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

  connect(user?: string | null, credentials?: unknown): Promise<string | null>;
  auth(user: string | null, credentials?: unknown): Promise<string | null>;
  /** Where the channel has no history or presence there are no messages and no members in the answer. */
  subscribe(channel: string, callback?: Revolved.Callback | null, options?: Revolved.SubscribeOptions): Promise<Revolved.Subscription>;
  unsubscribe(...channels: string[]): Promise<any>;
  /** Where we are in a channel; null before it is known, and for patterns. */
  position(channel: string): Revolved.Position | null;
  /** Who is in a channel subscribed with `presence`, kept up to date; null where the server does not tell. */
  members(channel: string): string[] | null;
  /**
   * `key` is what it is the latest of, in a channel of `slow=latest`.
   * With an id (true: one is made) it counts once, however often it is published in `--idempotency-window` (2 minutes), and is
   * asked once more when its answer was lost with the session, if the session has a user name. A server that was started
   * anew knows no ids: what the one before it had may then come twice.
   */
  publish(channel: string, payload: any, options?: { id?: string | true; key?: string }): Promise<{ offset: number }>;
  /** With `report`, `delivered` tells, once all of it is known, what became of the message at each of the sessions. It is never rejected. */
  send(user: string, payload: any, options: { report: true }): Promise<{ sessions: number; delivered: Promise<Revolved.Fate[]> }>;
  send(user: string, payload: any, options?: { report?: boolean }): Promise<{ sessions: number; delivered?: Promise<Revolved.Fate[]> }>;
  presence(channel: string, options?: Revolved.PresenceOptions): Promise<Revolved.Presence>;
  history(channel: string, options?: Revolved.HistoryOptions): Promise<Revolved.History>;
  call(name: string, payload?: any): Promise<any>;
  disconnect(): Promise<void>;
  switchTo(transports: Transport[]): void;

  /** Signed in, at first (`again` false) and after every new session (true). */
  onopen: ((user: string | null, again: boolean) => void) | null;
  onpublish: ((channel: string, sender: string | null, payload: any, info: Revolved.Info) => void) | null;
  onreceive: ((sender: string | null, payload: any) => void) | null;
  onjoin: ((channel: string, user: string) => void) | null;
  onleave: ((channel: string, user: string) => void) | null;
  /** The list that members() gives has changed, or come. */
  onmembers: ((channel: string, members: string[]) => void) | null;
  /** A new session has taken a subscription back: `recovered`, or after a gap. */
  onresumed: ((channel: string, subscription: Revolved.Subscription) => void) | null;
  /**
   * The application has subscribed this session to a channel or pattern: its messages come by onpublish. That ends with the
   * session; in a new one it is the application's to do it again.
   */
  onsubscribed: ((channel: string) => void) | null;
  /** The application has ended a subscription, its own or ours: a new session will not have it. */
  onunsubscribed: ((channel: string) => void) | null;
  /** Messages are missing, between the last that came and the next. */
  ongap: ((channel: string, gap: Revolved.Gap) => void) | null;
  /** The server's goodbye, ahead of the end: whether to come back, and how long to wait before. */
  onbye: ((code: string | number, text: string, info: { reconnect?: boolean; after_ms?: number }) => void) | null;
  /** `reconnects`: a new session is on its way. Not after refused, kicked and token, nor when the goodbye said so. */
  onclose: ((reason: CloseReason, reconnects: boolean, detail: string) => void) | null;
  /** Every call that failed, awaited or not. */
  onerror: ((error: Revolved.RevolvedError) => void) | null;
  ontransport: ((name: Transport | '') => void) | null;
}

export = Revolved;
export as namespace Revolved;
