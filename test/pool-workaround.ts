/**
 * Works around a defect of @cloudflare/vitest-pool-workers 0.23.0: each time it instantiates a Worker's entrypoint, which is at every request, it
 * wraps the prototype of its wrapper class into one more Proxy, so that the n-th request of a test file costs n proxies: 100 ms at the 500th.
 * Here a prototype that it has wrapped once is not wrapped again. Nothing but that one handler is touched.
 */
const wrapped = new WeakSet<object>();

globalThis.Proxy = new Proxy(Proxy, {
  construct(RealProxy, [target, handler]: [object, ProxyHandler<object>]) {
    if (wrapped.has(target)) return target;
    const proxy = new RealProxy(target, handler);
    if (String(handler.get).includes("getUnknownPrototypeKey")) wrapped.add(proxy);
    return proxy;
  },
});
