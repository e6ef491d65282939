// A browser starts no worker from a file: without a server, the script of the search runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.frame = frame
      this.inside = frame.contentWindow
      this.inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      this.inside.importScripts = (...addresses) =>
        addresses.reduce((before, each) => before.then(() => this.run(each)), Promise.resolve())
      this.ready = this.run(address)
    }
    run(address) {
      return new Promise((loaded, failed) => {
        const script = this.inside.document.createElement("script")
        script.src = new URL(address, location.href).href
        script.onload = loaded
        script.onerror = failed
        this.inside.document.body.append(script)
      })
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })))
    }
    terminate() {
      this.frame.remove()
    }
  }
}
