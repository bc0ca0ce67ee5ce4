// Types of Orbited.js. A script tag or `import '/_/Orbited.js'` sets the global `Orbited`; require() returns it.

declare namespace Orbited {
  interface Connection {
    /** Ends the connection; there is no other one. */
    close(): void;
  }

  /** Both are read by the same means; the framing differs. Any other name is the first. */
  type Transport = 'xhr_stream' | 'server_sent_events';
}

declare const Orbited: {
  /**
   * Calls `callback` with all that the application sends to this page: a value where it is JSON, else text.
   * `session` tells the pages of a user at one location apart; the default is '0'.
   */
  connect(callback: (data: any) => void, user: string, location: string, session?: string, transport?: Orbited.Transport | (string & {})): Orbited.Connection;
  /** Another server's origin; default: where the script came from. */
  url: string;
  /** What proves who the user is, where the server checks tokens. */
  token: string;
  /** The server does not take this page, which does not ask again. */
  onrefused: ((status: number, location: string) => void) | null;
};

export = Orbited;
