"""`python devtools.py FILE`: opens an HTTP archive in Chromium's network panel, and prints what stands there.

It is a program of its own, in the environment of `setup_browser.py`: Chromium with its developer tools, in
which the panel's own code reads the file. Prints one JSON object: `browser` (Chromium's version), `said` by
the tools' console, and `rows` from the first to the last. Exits with 1 when nothing came of it in a minute.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Chromium's sandbox cannot be had as root; nothing from outside is opened here.
os.environ.setdefault("QTWEBENGINE_CHROMIUM_FLAGS", "--no-sandbox --disable-gpu")

from PySide6.QtCore import QTimer
from PySide6.QtWebEngineCore import QWebEnginePage, qWebEngineChromiumVersion
from PySide6.QtWebEngineWidgets import QWebEngineView
from PySide6.QtWidgets import QApplication

PATIENCE = 60_000  # milliseconds
LOOK_EVERY = 50

# What a person does who drops the file on the panel, and what they read there.
SCRIPT = """
globalThis.shown = null;
(async () => {
  const part = path => import(`devtools://devtools/bundled/${path}`);
  const until = async ready => { while (!ready()) await new Promise(later => setTimeout(later, 20)); };
  await until(() => document.querySelector('.root-view'));
  const UI = await part('ui/legacy/legacy.js');
  await UI.ViewManager.ViewManager.instance().showView('network');
  const {Console} = await part('core/common/common.js');
  const said = () => Console.Console.instance().messages().map(message => message.text);
  const {NetworkPanel} = await part('panels/network/network.js');
  const view = NetworkPanel.NetworkPanel.instance().networkLogView;
  await view.onLoadFromFile(new File([TEXT], 'sessions.har'));
  const grid = view.columns().dataGrid();
  const nodes = () => grid.rootNode().flatChildren();
  await until(() => nodes().length || said().length);
  const rows = [];
  for (const node of nodes()) {
    const request = node.request();
    const content = await request.requestContentData();
    const cell = id => node.createCell(id).innerText || node.createCell(id).textContent;
    rows.push({
      cells: Object.fromEntries(['name', 'status', 'type', 'domain', 'time'].map(id => [id, cell(id)])),
      method: request.requestMethod,
      url: request.url(),
      status: request.statusCode,
      asked: await request.requestFormData(),
      answered: content.error ?? (content.isTextContent ? content.text : content.base64),
      is_text: content.isTextContent ?? false,
      type: request.mimeType,
      began: request.issueTime(),
      waited: request.responseReceivedTime - request.issueTime(),
      took: request.duration,
    });
  }
  return {said: said(), rows};
})().then(
  found => { globalThis.shown = JSON.stringify(found); },
  error => { globalThis.shown = JSON.stringify({said: [`${error}\\n${error.stack}`], rows: []}); },
);
0
"""


def main(file: Path) -> int:
    """Show it; the exit code."""
    application = QApplication([])
    inspected, view = QWebEngineView(), QWebEngineView()
    tools = QWebEnginePage(view)
    view.setPage(tools)
    view.resize(1400, 900)
    inspected.show()
    view.show()  # what is not shown draws nothing, and the panel fills its rows when it draws

    def look() -> None:
        tools.runJavaScript("globalThis.shown", 0, found)

    def found(shown: str | None) -> None:
        if not shown:
            QTimer.singleShot(LOOK_EVERY, look)
            return
        print(json.dumps({"browser": qWebEngineChromiumVersion(), **json.loads(shown)}))
        application.exit(0)

    def late() -> None:
        print("the network panel showed nothing within a minute", file=sys.stderr)
        application.exit(1)

    script = SCRIPT.replace("TEXT", json.dumps(file.read_text("utf-8")))
    tools.loadFinished.connect(lambda _is_loaded: tools.runJavaScript(script, 0, lambda _: look()))
    inspected.page().setDevToolsPage(tools)
    inspected.page().setHtml("")
    QTimer.singleShot(PATIENCE, late)
    return int(application.exec())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
