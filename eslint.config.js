// JavaScript of the add-ons: ES modules as Odoo's asset bundler reads them. What
// they import from @odoo and @web exists only inside Odoo, so it is not resolved.
import js from "@eslint/js";
import globals from "globals";

const odooGlobals = { odoo: "readonly", luxon: "readonly", Chart: "readonly" };

const literalOnly = {
    selector: "CallExpression[callee.name='_t'][arguments.0.type!='Literal']",
    message: "_t() needs a plain string, or it can't be found for translation.",
};
const noPrivate = {
    selector: "PrivateIdentifier",
    message: "Private names can't be patched by another add-on.",
};
const noModuleState = {
    selector: "Program > VariableDeclaration[kind=/^(let|var)$/]",
    message: "No module-level state that changes: keep it in a service or a model.",
};

export default [
    {
        ignores: [
            "**/static/lib/**",
            "**/static/src/lib/**",
            "**/node_modules/**",
            "**/.*/**",
            "build/**",
        ],
    },
    {
        files: ["**/*.js", "**/*.mjs"],
        ...js.configs.recommended,
    },
    {
        files: ["**/*.js", "**/*.mjs"],
        languageOptions: { ecmaVersion: 2022, sourceType: "module" },
        linterOptions: { reportUnusedDisableDirectives: "error" },
        rules: {
            "arrow-body-style": ["error", "as-needed"],
            complexity: ["error", 15],
            curly: ["error", "all"],
            eqeqeq: ["error", "always"],
            "no-alert": "error",
            // Scanners send control characters, 0x1D above all.
            "no-control-regex": "off",
            "no-empty": ["error", { allowEmptyCatch: false }],
            "no-eval": "error",
            "no-implied-eval": "error",
            "no-throw-literal": "error",
            "no-unused-vars": ["error", { args: "none", caughtErrors: "all" }],
            "no-var": "error",
            "no-duplicate-imports": "error",
            "prefer-const": [
                "error",
                { destructuring: "all", ignoreReadBeforeAssign: true },
            ],
        },
    },
    {
        files: ["*/static/src/**/*.js"],
        languageOptions: { globals: { ...globals.browser, ...odooGlobals } },
        rules: {
            "no-console": ["error", { allow: ["warn", "error"] }],
            "no-restricted-globals": ["error", "event", "self"],
            "no-restricted-syntax": ["error", literalOnly, noPrivate, noModuleState],
        },
    },
    {
        files: ["*/static/tests/**/*.js"],
        languageOptions: {
            globals: { ...globals.browser, ...odooGlobals, posmodel: "readonly" },
        },
        rules: {
            "no-restricted-imports": [
                "error",
                { patterns: [{ group: ["*qunit*"], message: "Use @odoo/hoot." }] },
            ],
            "no-restricted-syntax": ["error", literalOnly, noPrivate],
        },
    },
    {
        // Pages of the sandbox, outside Odoo.
        files: ["sandbox/**/*.js"],
        ignores: ["sandbox/tests/**"],
        languageOptions: { globals: globals.browser },
    },
    {
        files: ["*.js", "tests/**/*.{js,mjs}", "sandbox/tests/**/*.{js,mjs}"],
        languageOptions: { globals: globals.node },
    },
];
