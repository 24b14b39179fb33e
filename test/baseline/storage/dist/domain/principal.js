export const PRINCIPAL_ROLES = ["user", "admin", "service"];
export function isPrincipalRole(value) {
    return PRINCIPAL_ROLES.some((role) => role === value);
}
