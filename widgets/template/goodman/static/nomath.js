// Instead of MathJax, which JupyterLab would fetch from another host: these pages show no
// formulas. What JupyterLab calls is there and does nothing.
window.MathJax = { Hub: { Config() {}, Configured() {}, Queue() {}, Register: { StartupHook() {} } } };
