// Imported by warmup.js in place of a function that is a module.
export default 1;
