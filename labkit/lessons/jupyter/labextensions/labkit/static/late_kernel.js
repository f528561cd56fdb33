// The widgets' extension looks for a notebook's kernel once, when the notebook is opened. Where
// there is none it gives up, and every widget says "Loading widget..." for good, even when a kernel
// is started later (ipywidgets#3970). Here it is asked again as soon as there is a kernel.
//
// JupyterLab loads extensions as containers of modules, which a build makes; this is one by hand.

(globalThis._JUPYTERLAB ??= {}).labkit = (() => {
  const VIEW = "application/vnd.jupyter.widget-view+json";
  let shared = {};

  const load = async (name) => {
    const [version] = Object.values(shared[name]);
    return (await version.get())();
  };

  // What waits for a manager already: widgets that were drawn before it came.
  function* waiting(notebook) {
    for (const cell of notebook.widgets)
      for (const output of cell.outputArea?.widgets ?? [])
        for (const drawn of output.children()) if (drawn.mimeType === VIEW) yield drawn;
  }

  async function watch(panel) {
    const { registerWidgetManager } = await load("@jupyter-widgets/jupyterlab-manager");
    const { sessionContext, content, context } = panel;
    await sessionContext.ready;
    if (sessionContext.session) return;
    const begin = (_, { newValue }) => {
      if (!newValue) return;
      sessionContext.kernelChanged.disconnect(begin);
      registerWidgetManager(context, content.rendermime, waiting(content));
    };
    sessionContext.kernelChanged.connect(begin);
  }

  async function get() {
    const { INotebookTracker } = await load("@jupyterlab/notebook");
    const activate = (_, tracker) => void tracker.widgetAdded.connect((_, panel) => void watch(panel));
    const plugin = { id: "labkit:late-kernel", autoStart: true, requires: [INotebookTracker], activate };
    return () => ({ __esModule: true, default: plugin });
  }

  return { get, init: (scope) => void (shared = scope) };
})();
