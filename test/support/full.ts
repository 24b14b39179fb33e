/** Whether the tests run in their full form, which takes minutes, instead of the short one. */
export const FULL = Boolean(process.env.FULL);
