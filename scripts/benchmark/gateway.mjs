// The official Socket.IO server in the role of the vendor's gateway, led by the benchmark.
//
// It reads one JSON command a line from standard input and says what happens, one JSON object a
// line, on standard output. First argument: a package.json beside whose node_modules socket.io is.
// Times are of the machine's monotonic clock, in nanoseconds.
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { Server } = createRequire(process.argv[2])("socket.io");
const NAMESPACE = "/v1/ws/prediction-markets/positions";
const AT_ONCE = 100;

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const http = createServer();
const gateway = new Server(http).of(NAMESPACE);
let envelopes = [];

let newest;

gateway.on("connection", (socket) => {
  newest = socket;
  say({ on: "connection" });
});

// A client reads in order: when it answers a ping, it is done with all that was sent before it.
const answered = (engine) =>
  new Promise((resolve) => {
    const look = (packet) => {
      if (packet.type !== "pong") return;
      engine.off("packet", look);
      resolve();
    };
    engine.on("packet", look);
    engine.sendPacket("ping");
  });

const commands = {
  async load({ path, count }) {
    envelopes = [];
    for await (const line of createInterface({ input: createReadStream(path) })) {
      if (envelopes.length === count) break;
      envelopes.push(JSON.parse(line));
    }
    say({ on: "loaded" });
  },

  // As fast as it can. Now and then it lets its own socket write, as a server does that awaits.
  burst() {
    const began = process.hrtime.bigint();
    let next = 0;
    const some = () => {
      for (const end = Math.min(next + AT_ONCE, envelopes.length); next < end; next++) {
        gateway.emit(envelopes[next].type, envelopes[next]);
      }
      if (next < envelopes.length) return void setImmediate(some);
      say({ on: "sent" });
      answered(newest.conn).then(() =>
        say({ on: "answered", seconds: Number(process.hrtime.bigint() - began) / 1e9 }),
      );
    };
    some();
  },

  // So many a second, evenly.
  pace({ rate }) {
    const began = process.hrtime.bigint();
    const gap = BigInt(Math.round(1e9 / rate));
    const times = [];
    const due = () => {
      while (times.length < envelopes.length) {
        const now = process.hrtime.bigint();
        if (now < began + gap * BigInt(times.length)) return void setTimeout(due, 1);
        const envelope = envelopes[times.length];
        times.push([envelope.id, now.toString()]);
        gateway.emit(envelope.type, envelope);
      }
      say({ on: "sent", times });
    };
    due();
  },
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { do: name, ...options } = JSON.parse(line);
    commands[name](options);
  })
  .on("close", () => process.exit(0));

http.listen(0, "127.0.0.1", () => say({ on: "listening", port: http.address().port }));
