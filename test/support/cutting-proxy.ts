import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** A way to the product that can be cut: what TCP does to a train in a tunnel. */
export class CuttingProxy {
  /** Connections that were made through it. */
  connections = 0;
  /** Each connection is cut once so many bytes have come through it to the client. */
  cutAfterBytes = Infinity;
  readonly #open = new Set<Socket>();
  readonly #server: Server;

  private constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#server = createServer((client) => {
      this.connections += 1;
      const product = connect(Number(port), hostname);
      let bytes = 0;
      product.on("data", ({ length }: Buffer) => {
        bytes += length;
        if (bytes >= this.cutAfterBytes) client.resetAndDestroy();
      });
      for (const [end, other] of [
        [client, product],
        [product, client],
      ] as const) {
        this.#open.add(end);
        end.on("error", () => {});
        end.on("close", () => {
          this.#open.delete(end);
          other.destroy();
        });
        end.pipe(other);
      }
    });
  }

  static async to(target: string): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    proxy.#server.listen({ port: 0, host: "127.0.0.1", backlog: 2_048 });
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Cuts all connections there are. */
  cut(): void {
    for (const socket of this.#open) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }
}
