export { newUserId } from '../../../../../src/domain/user-id.ts';
