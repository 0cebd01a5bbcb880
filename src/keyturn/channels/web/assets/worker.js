// The service worker: shows what was pushed, and opens its page. It keeps nothing, answers no request of a page, decides nothing.

const REQUEST = /^\/requests\/[A-Za-z0-9_]+$/;

self.addEventListener("push", (event) => {
  let said = {};
  try {
    said = event.data?.json() ?? {};
  } catch {
    // not from this server's version; a push must show something all the same
  }
  const path = REQUEST.test(said.path) ? said.path : "/";
  event.waitUntil(
    self.registration.showNotification(String(said.title ?? "Keyturn"), {
      body: String(said.body ?? "Something waits for you."),
      tag: String(said.tag ?? "keyturn"),
      renotify: true,
      data: { path },
    }),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const path = REQUEST.test(event.notification.data?.path) ? event.notification.data.path : "/";
  event.waitUntil(
    (async () => {
      const open = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
      const there = open.find((one) => new URL(one.url).pathname === path);
      return there ? there.focus() : self.clients.openWindow(path);
    })(),
  );
});
