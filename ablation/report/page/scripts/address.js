// What is shown is kept behind the # of the address, so that a view can be sent.

const address = (() => {
  const known = new Map();
  const read = () => {
    known.clear();
    const text = location.hash.slice(1);
    if (!text.includes("=")) return; // A section, which the browser goes to by itself.
    for (const [key, value] of new URLSearchParams(text)) known.set(key, value);
  };
  read();
  return {
    read,
    get: (key, usual) => (known.has(key) ? known.get(key) : usual),
    set(key, value, usual) {
      if (value === usual || value === null) known.delete(key);
      else known.set(key, value);
      const text = new URLSearchParams([...known]).toString();
      const place = text ? `#${text}` : location.pathname + location.search;
      try {
        history.replaceState(history.state, "", place);
      } catch {
        location.replace(text ? place : "#"); // Some browsers keep files from the history.
      }
    },
  };
})();
